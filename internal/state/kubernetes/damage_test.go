package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/state/fenced"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
)

func TestQuarantineKeepsEveryByte(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var kept [][]byte
	for round := range 2 { // a record may be damaged again
		s := p.open(t)
		mustSave(t, s, "one", uint64(round+1))
		p.damage(t, "one")
		kept = append(kept, p.get(t, "one").Data[recordKey])
		for range 2 {
			_, err := s.Load(t.Context(), "one")
			if !errors.Is(err, token.ErrNoRecord) || !strings.Contains(err.Error(), "state.one.quarantine-") {
				t.Errorf("Load of a damaged record: %v", err)
			}
		}
		mustSave(t, s, "one", 9)
		if notes := p.get(t, "one").Annotations; notes[quarantinedAnnotation] != "" || notes[reasonAnnotation] != "" {
			t.Errorf("a new record is still told to be in quarantine: %v", notes)
		}
		if err := s.Delete(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
	}
	all := p.secrets(t, quarantineLabel+"=state")
	for _, b := range kept {
		found := false
		for i := range all {
			found = found || bytes.Equal(all[i].Data[recordKey], b)
			if all[i].Immutable == nil || !*all[i].Immutable {
				t.Errorf("%s can be written", all[i].Name)
			}
		}
		if !found {
			t.Error("a damaged record is not in quarantine as it was")
		}
	}
	if len(all) != len(kept) {
		t.Errorf("%d in quarantine, want %d", len(all), len(kept))
	}
}

// TestRecordIsReplacedWhileItIsBeingQuarantined: another owner that has mended
// the record must not lose it.
func TestRecordIsReplacedWhileItIsBeingQuarantined(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.damage(t, "one")
	other := p.o
	other.Client = newClient(t, cluster.Admin(), p.o.Namespace)
	fresh := (&place{o: other, admin: p.admin}).open(t)
	w.set(once(func(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		wantGeneration(t, fresh, "one", 0)
		mustSave(t, fresh, "one", 2)
		return send()
	}))
	_, err := s.Load(t.Context(), "one")
	wantFenced(t, err)
	if errors.Is(err, token.ErrNoRecord) {
		t.Errorf("the record of the other owner is told to be missing: %v", err)
	}
	wantGeneration(t, s, "one", 2)
}

func large(g uint64) token.Record {
	r := generationOf(g)
	r.AccessToken = token.NewSecret(strings.Repeat("0123456789abcdef", 1<<16))
	return r
}

func TestPiecesOfLargeRecordsDoNotPileUp(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	pieces := func() int { return len(p.secrets(t, partLabel+"=state")) }
	for g := range uint64(3) {
		if err := s.Save(t.Context(), "one", large(g+1)); err != nil {
			t.Fatal(err)
		}
		if n := pieces(); n != 3 {
			t.Errorf("%d pieces after save %d, want 3", n, g+1)
		}
	}
	got, err := p.open(t).Load(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	statetest.Same(t, got, large(3))

	// A process that dies before the commit leaves pieces, and the record as it was.
	w.set(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPut || r.Method == http.MethodDelete {
			return nil, io.ErrUnexpectedEOF
		}
		return send()
	})
	if err := s.Save(t.Context(), "one", large(4)); err == nil {
		t.Error("the save went through")
	}
	if n := pieces(); n != 6 {
		t.Errorf("%d pieces, want 6", n)
	}
	w.set(nil)
	next := p.open(t)
	wantGeneration(t, next, "one", 3)
	if err := next.Save(t.Context(), "one", large(5)); err != nil {
		t.Fatal(err)
	}
	if n := pieces(); n != 3 {
		t.Errorf("%d pieces, want 3", n)
	}
	mustSave(t, next, "one", 6)
	if n := pieces(); n != 0 {
		t.Errorf("%d pieces of a small record", n)
	}
	if err := next.Save(t.Context(), "one", large(7)); err != nil {
		t.Fatal(err)
	}
	if err := next.Delete(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if n := pieces(); n != 0 {
		t.Errorf("%d pieces of a deleted record", n)
	}
}

func TestLargeRecordWithoutOneOfItsPieces(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	if err := s.Save(t.Context(), "one", large(1)); err != nil {
		t.Fatal(err)
	}
	part := p.secrets(t, partLabel+"=state")[0].Name
	if err := p.admin.CoreV1().Secrets(p.o.Namespace).Delete(t.Context(), part, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load(t.Context(), "one")
	if !errors.Is(err, token.ErrNoRecord) || !strings.Contains(err.Error(), "quarantine") || !strings.Contains(err.Error(), part) {
		t.Errorf("Load: %v", err)
	}
	for _, r := range []token.Record{large(2), generationOf(3)} {
		if err := s.Save(t.Context(), "one", r); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.secrets(t, quarantineLabel+"=state")); n != 3 { // the list and the two pieces that were left
		t.Errorf("%d Secrets in quarantine, want 3", n)
	}
}

// TestLargeRecordIsReplacedWhileItIsBeingRead: its pieces vanish under the
// reader, which is no damage.
func TestLargeRecordIsReplacedWhileItIsBeingRead(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	other := p.o
	other.Client = newClient(t, cluster.Admin(), p.o.Namespace)
	owner := (&place{o: other, admin: p.admin}).open(t)
	if err := owner.Save(t.Context(), "one", large(1)); err != nil {
		t.Fatal(err)
	}
	s := p.open(t)
	replaced := false
	w.set(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if strings.Contains(r.URL.Path, ".part-") && !replaced {
			replaced = true
			if err := owner.Save(t.Context(), "one", large(2)); err != nil {
				return nil, fmt.Errorf("replacing it: %w", err)
			}
		}
		return send()
	})
	wantGeneration(t, s, "one", 2)
}

func TestRecordThatIsTooLarge(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	r := generationOf(1)
	r.AccessToken = token.NewSecret(strings.Repeat("x", fenced.MaxSize+1))
	if err := s.Save(t.Context(), "one", r); err == nil || !strings.Contains(err.Error(), "too many for Secrets") {
		t.Errorf("Save: %v", err)
	}
	wantGeneration(t, s, "one", 0)
}
