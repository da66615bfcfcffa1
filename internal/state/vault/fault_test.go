package vault

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state/fenced"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	testbed "github.com/tokend-project/tokend/test/testbed/vault"
)

func TestAWriteWhoseAnswerOrRequestIsLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t testing.TB, prefix string, count int){
		"the answer": server.LoseAnswers, "the request": server.LoseRequests,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, server)
			s := p.open(t)
			wantGeneration(t, s, "one", 0)
			writes := "PUT /v1/" + p.mount + "/data/" + path + "/records/one"
			for g := range uint64(3) {
				lose(t, writes, 1)
				mustSave(t, s, "one", g+1)
				if got := p.about(t, "one")["current_version"]; got != float64(g+1) {
					t.Errorf("save %d made version %v: it was written twice", g+1, got)
				}
				wantGeneration(t, p.open(t), "one", g+1)
			}
			lose(t, writes, 1)
			must(t, s.Delete(t.Context(), "one"))
			wantGeneration(t, p.open(t), "one", 0)
			lose(t, writes, 1)
			mustSave(t, s, "one", 9)
			wantGeneration(t, s, "one", 9)
		})
	}
}

// The answer to an intent was lost, and so was every look at it; the store must
// not take its own write for another owner's.
func TestOwnWriteIsKnownAfterAnOutage(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	record := " /v1/" + p.mount + "/data/" + path + "/records/one"
	p.server.LoseAnswers(t, "PUT"+record, 1)
	p.server.LoseRequests(t, "GET"+record, 1)
	err := s.Save(t.Context(), "one", generationOf(2))
	if !errors.Is(err, vault.ErrAmbiguous) || errors.Is(err, token.ErrFenced) {
		t.Errorf("Save during the outage: %v", err)
	}
	mustSave(t, s, "one", 3)
	wantGeneration(t, p.open(t), "one", 3)
}

func TestBusyAndSealedServersAreNoFence(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testbed.Own(t, testbed.Options{}))
	s := p.open(t)
	mustSave(t, s, "one", 1)
	must(t, p.server.RestartSealed(t.Context()))
	err := s.Save(t.Context(), "one", generationOf(2))
	if !errors.Is(err, vault.ErrSealed) {
		t.Errorf("Save: %v, want ErrSealed", err)
	}
	if _, err := s.Load(t.Context(), "one"); !errors.Is(err, vault.ErrSealed) || errors.Is(err, token.ErrNoRecord) {
		t.Errorf("Load: %v, want ErrSealed", err)
	}
	must(t, p.server.Unseal(t.Context()))
	mustSave(t, s, "one", 2)
	p.server.Kill()
	if err := s.Save(t.Context(), "one", generationOf(3)); err == nil || errors.Is(err, token.ErrFenced) {
		t.Errorf("Save to a dead server: %v", err)
	}
	must(t, p.server.Restart(t.Context()))
	mustSave(t, s, "one", 3)
	wantGeneration(t, p.open(t), "one", 3)

	remove := p.server.Quota(t, p.mount, 1)
	defer remove()
	for err = nil; err == nil; {
		err = s.Save(t.Context(), "one", generationOf(4))
	}
	e, ok := errors.AsType[*vault.Error](err)
	if !ok || !errors.Is(err, vault.ErrThrottled) || e.RetryAfter() <= 0 {
		t.Errorf("Save: %v, want ErrThrottled with a time to wait", err)
	}
}

func TestAMountThatIsGoneIsNoMissingRecord(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.server.Unmount(t, p.mount)
	if _, err := s.Load(t.Context(), "one"); !errors.Is(err, vault.ErrNoMount) || errors.Is(err, token.ErrNoRecord) {
		t.Errorf("Load: %v, want ErrNoMount", err)
	}
	if err := s.Save(t.Context(), "one", generationOf(2)); !errors.Is(err, vault.ErrNoMount) {
		t.Errorf("Save: %v, want ErrNoMount", err)
	}
}

func TestQuarantineKeepsEveryByte(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	var kept []any
	for round := range 2 { // a record may be damaged again
		s := p.open(t)
		mustSave(t, s, "one", uint64(round+1))
		p.damage(t, "one")
		kept = append(kept, p.data(t, "records/one")["record"])
		for range 2 {
			_, err := p.open(t).Load(t.Context(), "one")
			if !errors.Is(err, token.ErrNoRecord) || !strings.Contains(err.Error(), path+"/quarantine/one/") {
				t.Errorf("Load of a damaged record: %v", err)
			}
		}
		wantGeneration(t, s, "one", 0)
		mustSave(t, s, "one", 9)
		must(t, s.Delete(t.Context(), "one"))
	}
	var found []any
	for _, name := range p.list(t, "quarantine/one") {
		found = append(found, p.data(t, "quarantine/one/"+name.(string))["record"])
	}
	if len(found) != len(kept) || !slices.Contains(found, kept[0]) || !slices.Contains(found, kept[1]) {
		t.Error("the damaged records are not in quarantine as they were")
	}
}

func TestWhatIsNoRecordIsQuarantinedToo(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]map[string]any{
		"a person's data":   {"password": "x", "count": 7.0},
		"no base64":         {"record": "?"},
		"empty":             {},
		"of another name":   nil,
		"a number":          {"record": 1.0},
		"pieces of nothing": {"parts": "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, server)
			s := p.open(t)
			mustSave(t, s, "other", 1)
			mustSave(t, s, "one", 1)
			if data == nil {
				data = p.data(t, "records/other")
			}
			p.put(t, "records/one", data)
			next := p.open(t)
			if _, err := next.Load(t.Context(), "one"); !errors.Is(err, token.ErrNoRecord) || !strings.Contains(err.Error(), "quarantine") {
				t.Fatalf("Load: %v", err)
			}
			aside := p.list(t, "quarantine/one")
			if len(aside) != 1 || !reflect.DeepEqual(p.data(t, "quarantine/one/"+aside[0].(string)), data) {
				t.Errorf("in quarantine: %v", aside)
			}
			mustSave(t, next, "one", 2)
			wantFenced(t, s.Save(t.Context(), "one", generationOf(3)))
		})
	}
}

func large(g uint64) token.Record {
	r := generationOf(g)
	r.AccessToken = token.NewSecret(strings.Repeat("0123456789abcdef", 1<<16))
	return r
}

func TestPiecesOfLargeRecordsDoNotPileUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testbed.Own(t, testbed.Options{Storage: "raft"})) // it takes 1 MiB an entry
	s := p.open(t)
	pieces := func(want int) {
		t.Helper()
		if n := len(p.list(t, "parts/one")); n != want {
			t.Errorf("%d pieces, want %d", n, want)
		}
	}
	for g := range uint64(3) {
		must(t, s.Save(t.Context(), "one", large(g+1)))
		pieces(3)
	}
	got, err := p.open(t).Load(t.Context(), "one")
	must(t, err)
	statetest.Same(t, got, large(3))

	// A process that dies before the commit leaves pieces, and the record as it was.
	p.server.LoseRequests(t, "PUT /v1/"+p.mount+"/data/"+path+"/records/one", fenced.Tries)
	if err := s.Save(t.Context(), "one", large(4)); err == nil {
		t.Error("the save went through")
	}
	pieces(6)
	next := p.open(t)
	wantGeneration(t, next, "one", 3)
	must(t, next.Save(t.Context(), "one", large(5)))
	pieces(3)
	mustSave(t, next, "one", 6)
	pieces(0)
	must(t, next.Save(t.Context(), "one", large(7)))
	must(t, next.Delete(t.Context(), "one"))
	pieces(0)
}

func TestALargeRecordWithoutOneOfItsPieces(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	s := p.open(t)
	must(t, s.Save(t.Context(), "one", large(1)))
	part := p.list(t, "parts/one")[1].(string)
	p.server.Do(t, http.MethodDelete, p.mount+"/metadata/"+path+"/parts/one/"+part, nil)
	if _, err := s.Load(t.Context(), "one"); !errors.Is(err, token.ErrNoRecord) || !strings.Contains(err.Error(), part) {
		t.Errorf("Load: %v", err)
	}
	must(t, s.Save(t.Context(), "one", large(2)))
	mustSave(t, s, "one", 3)
	if n := len(p.list(t, "quarantine/one")); n != 3 { // the list and the two pieces that were left
		t.Errorf("%d entries in quarantine, want 3", n)
	}
}

// The pieces of a record that is replaced vanish under its reader, which is no
// damage.
func TestALargeRecordIsReplacedWhileItIsBeingRead(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testbed.Own(t, testbed.Options{}))
	owner, reader := p.open(t), p.open(t)
	must(t, owner.Save(t.Context(), "one", large(1)))
	piece := "GET /v1/" + p.mount + "/data/" + path + "/parts/one/"
	release := p.server.HoldRequests(t, piece, 1)
	loaded := make(chan error, 1)
	go func() {
		r, err := reader.Load(t.Context(), "one")
		if err == nil && r.Generation != 2 {
			err = fmt.Errorf("generation %d", r.Generation)
		}
		loaded <- err
	}()
	for p.server.Count(t, piece) == 0 {
		time.Sleep(time.Millisecond)
	}
	must(t, owner.Save(t.Context(), "one", large(2)))
	release()
	if err := <-loaded; err != nil {
		t.Errorf("Load: %v", err)
	}
	if n := len(p.list(t, "quarantine/one")); n != 0 {
		t.Errorf("%d entries in quarantine", n)
	}
}

func TestARecordThatIsTooLarge(t *testing.T) {
	t.Parallel()
	s := newPlace(t, server).open(t)
	r := generationOf(1)
	r.AccessToken = token.NewSecret(strings.Repeat("x", fenced.MaxSize+1))
	if err := s.Save(t.Context(), "one", r); err == nil || !strings.Contains(err.Error(), "too many for Vault") {
		t.Errorf("Save: %v", err)
	}
	wantGeneration(t, s, "one", 0)
}

func TestPrefetchReadsOnceAndIsOvertakenByOwnWrites(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	names := make([]string, 40)
	first := p.open(t)
	for i := range names {
		names[i] = fmt.Sprintf("token-%02d", i)
		if i%2 == 0 {
			mustSave(t, first, names[i], uint64(i+1))
		}
	}
	s := p.open(t)
	before := p.count(t, http.MethodGet)
	must(t, s.Prefetch(t.Context(), names))
	for i, name := range names[:20] {
		want := uint64(i + 1)
		if i%2 == 1 {
			want = 0
		}
		wantGeneration(t, s, name, want)
	}
	if n := p.count(t, http.MethodGet) - before; n != len(names) {
		t.Errorf("%d reads, want one for each of %d records", n, len(names))
	}
	mustSave(t, s, names[20], 100) // what was read ahead of it is old now
	wantGeneration(t, s, names[20], 100)
	mustSave(t, first, names[0], 200) // the fence holds for what was read ahead, too
	wantFenced(t, s.Save(t.Context(), names[0], generationOf(300)))
	if err := s.Prefetch(t.Context(), []string{"../a"}); err == nil {
		t.Error("Prefetch took a name that is none")
	}
}
