package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func smallPages(t *testing.T, p *place) *Store {
	t.Helper()
	s, err := open(t.Context(), p.o, bounds{request: 10 * time.Second, save: 25 * time.Second, pause: time.Millisecond, fresh: time.Minute, page: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fleet(t *testing.T, s *Store, n int) []string {
	t.Helper()
	names := make([]string, n)
	var all sync.WaitGroup
	for i := range names {
		names[i] = fmt.Sprintf("token_%02d", i)
		all.Go(func() { mustSave(t, s, names[i], uint64(i+1)) })
	}
	all.Wait()
	return names
}

func TestManyRecordsComeInFewRequests(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := smallPages(t, p)
	names := fleet(t, s, 35)
	w.taken()
	if err := s.Prefetch(t.Context(), append(names, "absent")); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		wantGeneration(t, s, name, uint64(i+1))
	}
	wantGeneration(t, s, "absent", 0)
	if n := w.taken(); n[http.MethodGet] != 4 || len(n) != 1 {
		t.Errorf("35 records in pages of 10 took %v", n)
	}
	wantGeneration(t, s, names[0], 1) // what was read ahead serves one Load
	if n := w.taken(); n[http.MethodGet] != 1 {
		t.Errorf("the second Load of a record took %v", n)
	}
	mustSave(t, s, names[0], 99)
	if n := w.taken(); n[http.MethodPut] != 1 || len(n) != 1 {
		t.Errorf("a Save after a Load took %v", n)
	}
	if err := s.Prefetch(t.Context(), names[:3]); err != nil {
		t.Fatal(err)
	}
	if n := w.taken(); n[http.MethodGet] != 3 {
		t.Errorf("three records took %v", n)
	}
	if err := s.Prefetch(t.Context(), []string{"no name"}); err == nil {
		t.Error("a name that is none was taken")
	}
}

func TestPagesThatTheAPIServerHasForgotten(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := smallPages(t, p)
	names := fleet(t, s, 25)
	var first sync.Once
	w.set(func(r *http.Request, send func() (*http.Response, error)) (resp *http.Response, err error) {
		expired := false
		if strings.Contains(r.URL.RawQuery, "continue=") {
			first.Do(func() { expired = true })
		}
		if expired {
			return answer(r, http.StatusGone, "Expired")
		}
		return send()
	})
	if err := s.Prefetch(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	wantGeneration(t, s, names[24], 25)
}

func TestRecordReadAheadAndOvertaken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s, other := p.open(t), p.open(t)
	mustSave(t, s, "here", 1)
	mustSave(t, s, "there", 1)
	mustSave(t, s, "gone", 1)
	if err := s.Prefetch(t.Context(), []string{"here", "there", "gone"}); err != nil {
		t.Fatal(err)
	}
	mustSave(t, s, "here", 2)
	if err := s.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	mustSave(t, other, "there", 2)
	wantGeneration(t, s, "here", 2)
	wantGeneration(t, s, "gone", 0)
	if r, err := s.Load(t.Context(), "there"); err != nil {
		t.Error(err)
	} else if r.Generation == 1 { // as it was read ahead: the fence finds out
		wantFenced(t, s.Save(t.Context(), "there", generationOf(3)))
	}
	wantGeneration(t, s, "there", 2)
}

func TestPrefetchThatFailsCostsNothing(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	names := fleet(t, s, 10)
	w.set(func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return answer(r, http.StatusServiceUnavailable, "ServiceUnavailable")
	})
	if err := s.Prefetch(t.Context(), names); err == nil {
		t.Error("Prefetch during an outage succeeded")
	}
	if _, err := s.Load(t.Context(), names[0]); err == nil {
		t.Error("Load during an outage succeeded")
	} else if strings.Contains(err.Error(), token.ErrNoRecord.Error()) {
		t.Errorf("an outage is told as a missing record: %v", err)
	}
	w.set(nil)
	wantGeneration(t, s, names[0], 1)
}
