package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// wire stands between a store and the real API server.
type wire struct {
	next http.RoundTripper

	mu    sync.Mutex
	fault func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)
	count map[string]int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	if w.count == nil {
		w.count = map[string]int{}
	}
	w.count[r.Method]++
	fault := w.fault
	w.mu.Unlock()
	send := func() (*http.Response, error) { return w.next.RoundTrip(r) }
	if fault == nil {
		return send()
	}
	return fault(r, send)
}

func (w *wire) set(fault func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// taken returns how many requests there were since the last call, by method.
func (w *wire) taken() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := w.count
	w.count = nil
	return count
}

// newFaultyPlace is a place whose stores speak over the wire.
func newFaultyPlace(t *testing.T) (*place, *wire) {
	t.Helper()
	p := newPlace(t)
	w := &wire{}
	config := rest.CopyConfig(cluster.Admin())
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { w.next = next; return w })
	p.o.Client = newClient(t, config, p.o.Namespace)
	return p, w
}

func answer(r *http.Request, code int, reason metav1.StatusReason, header ...string) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"` + string(reason) + `"}`
	return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func isWrite(r *http.Request) bool { return r.Method != http.MethodGet }

// once applies a fault to the first write alone.
func once(fault func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error)) func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
	var first sync.Once
	return func(r *http.Request, send func() (*http.Response, error)) (resp *http.Response, err error) {
		hit := false
		if isWrite(r) {
			first.Do(func() { hit = true })
		}
		if hit {
			return fault(r, send)
		}
		return send()
	}
}

// lostAnswer lets the request land and breaks the connection then.
func lostAnswer(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
	resp, err := send()
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return nil, io.ErrUnexpectedEOF
}

func TestWriteWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	lostOnTheWay := func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
		return nil, io.ErrUnexpectedEOF
	}
	failed := func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return answer(r, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	}
	timedOut := func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		_, _ = lostAnswer(r, send)
		return answer(r, http.StatusGatewayTimeout, metav1.StatusReasonTimeout)
	}
	for name, fault := range map[string]func(*http.Request, func() (*http.Response, error)) (*http.Response, error){
		"it landed": lostAnswer, "it did not": lostOnTheWay, "a webhook failed": failed, "a gateway timed out": timedOut,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, w := newFaultyPlace(t)
			s := p.open(t)
			for g := range uint64(3) { // a create and updates
				w.set(once(fault))
				mustSave(t, s, "one", g+1)
				w.set(nil)
				wantGeneration(t, p.open(t), "one", g+1)
			}
			w.set(once(fault))
			if err := s.Delete(t.Context(), "one"); err != nil {
				t.Error(err)
			}
			wantGeneration(t, s, "one", 0)
			w.set(once(fault))
			mustSave(t, s, "one", 9)
			wantGeneration(t, s, "one", 9)
		})
	}
}

// TestOwnWriteIsKnownAfterAnOutage: the answer to an intent was lost, and so was
// the API server; the store must not take its own write for another owner's.
func TestOwnWriteIsKnownAfterAnOutage(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	var outage sync.Mutex
	down := false
	w.set(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		outage.Lock()
		defer outage.Unlock()
		if down {
			return nil, syscall.ECONNREFUSED
		}
		down = isWrite(r)
		return lostAnswer(r, send)
	})
	err := s.Save(t.Context(), "one", generationOf(2))
	if err == nil || errors.Is(err, token.ErrFenced) {
		t.Errorf("Save during the outage: %v", err)
	}
	w.set(nil)
	mustSave(t, s, "one", 3)
	wantGeneration(t, s, "one", 3)
}

// TestWriteThatLandsLate: the request hangs somewhere when the store has given it
// up, and arrives between two others.
func TestWriteThatLandsLate(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	late := make(chan func(), 1)
	w.set(func(r *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		if r.Method == http.MethodPut && len(late) == 0 {
			body, _ := io.ReadAll(r.Body)
			held := r.Clone(context.Background())
			held.Body = io.NopCloser(strings.NewReader(string(body)))
			late <- func() {
				resp, err := w.next.RoundTrip(held)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("the late write got %s", resp.Status)
				}
			}
		}
		return nil, context.DeadlineExceeded
	})
	if err := s.Save(t.Context(), "one", generationOf(2)); err == nil {
		t.Fatal("it went through")
	}
	(<-late)()
	w.set(nil)
	mustSave(t, s, "one", 3)
	wantGeneration(t, p.open(t), "one", 3)
}

func TestBusyAPIServerIsNoFence(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	w.taken()
	w.set(once(func(r *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		return answer(r, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "Retry-After", "7")
	}))
	err := s.Save(t.Context(), "one", generationOf(2))
	wait, ok := errors.AsType[*kube.Error](err)
	if !ok || wait.RetryAfter() != 7*time.Second {
		t.Errorf("got %v, want an error that says to wait 7 seconds", err)
	}
	if n := w.taken(); n[http.MethodPut] != 1 || len(n) != 1 {
		t.Errorf("a refused write was followed by others: %v", n)
	}
	mustSave(t, s, "one", 2)
}

func TestSaveIsOneRequest(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	wantGeneration(t, s, "one", 0)
	w.taken()
	for g := range uint64(5) {
		mustSave(t, s, "one", g+1)
	}
	if n := w.taken(); n[http.MethodPost] != 1 || n[http.MethodPut] != 4 || len(n) != 2 {
		t.Errorf("five saves made %v", n)
	}
}

func TestCallerThatLeavesDoesNotStopTheWrite(t *testing.T) {
	t.Parallel()
	p, w := newFaultyPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	ctx, cancel := context.WithCancel(t.Context())
	w.set(once(func(_ *http.Request, send func() (*http.Response, error)) (*http.Response, error) {
		cancel()
		return send()
	}))
	err := s.Save(ctx, "one", generationOf(2))
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Save: %v", err)
	}
	if err := s.Close(); err != nil { // waits for it
		t.Error(err)
	}
	wantGeneration(t, p.open(t), "one", 2)
	if err := s.Prefetch(t.Context(), []string{"one"}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Prefetch after Close: %v", err)
	}
}

func stateRule(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}
}

func TestEachVerbThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	all := []string{"get", "list", "create", "update", "delete"}
	for missing, verb := range all {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			verbs := append(append([]string{}, all[:missing]...), all[missing+1:]...)
			p.o.Client = newClient(t, cluster.ServiceAccount(t, p.o.Namespace, "tokend", stateRule(verbs...)), p.o.Namespace)
			_, err := Open(t.Context(), p.o)
			if err == nil || !strings.Contains(err.Error(), `verbs: ["`+verb+`"]`) || !strings.Contains(err.Error(), p.o.Namespace) {
				t.Errorf("without %s: %v", verb, err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.o.Client = newClient(t, cluster.ServiceAccount(t, p.o.Namespace, "tokend", stateRule(all...)), p.o.Namespace)
		s := p.open(t)
		mustSave(t, s, "one", 1)
		if err := s.Delete(t.Context(), "one"); err != nil {
			t.Error(err)
		}
	})
}

func TestPermissionWithdrawnAndGivenBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	all := stateRule("get", "list", "create", "update", "delete")
	p.o.Client = newClient(t, cluster.ServiceAccount(t, p.o.Namespace, "tokend", all), p.o.Namespace)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	cluster.Grant(t, p.o.Namespace, p.o.Namespace, "tokend", stateRule("get", "list", "create", "delete"))
	err := s.Save(t.Context(), "one", generationOf(2))
	if err == nil || errors.Is(err, token.ErrFenced) || !strings.Contains(err.Error(), "may not update secrets") {
		t.Errorf("without update: %v", err)
	}
	cluster.Grant(t, p.o.Namespace, p.o.Namespace, "tokend", all)
	mustSave(t, s, "one", 3)
}

func TestNamespaceThatIsMissingOrGoes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	gone := p.o
	gone.Namespace = "no-such-namespace"
	if _, err := Open(t.Context(), gone); err == nil || !strings.Contains(err.Error(), `namespace "no-such-namespace" does not exist`) {
		t.Errorf("Open: %v", err)
	}
	if err := p.admin.CoreV1().Namespaces().Delete(t.Context(), p.o.Namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := p.admin.CoreV1().Secrets(p.o.Namespace).Delete(t.Context(), "state.one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// To take it for another owner would make every token of the fleet log in anew.
	err := s.Save(t.Context(), "one", generationOf(2))
	if err == nil || errors.Is(err, token.ErrFenced) || !strings.Contains(err.Error(), "is being deleted") {
		t.Errorf("Save: %v", err)
	}
}

func TestImmutableSecretIsAClearError(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.patch(t, "one", `{"immutable":true}`)
	err := s.Save(t.Context(), "one", generationOf(2))
	if err == nil || errors.Is(err, token.ErrFenced) || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("Save: %v", err)
	}
	wantGeneration(t, s, "one", 1)
}

func TestWrongKeyIsOneClearError(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mustSave(t, p.open(t), "one", 1)
	for what, key := range map[string]token.Secret{
		"none": {}, "another": token.NewSecret(testKey.Reveal() + "x"), "short": token.NewSecret("short"),
	} {
		o := p.o
		o.Key = key
		if _, err := Open(t.Context(), o); !errors.Is(err, state.ErrKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// With records of both keys, one that does not open is not damage.
	both := newPlace(t)
	o := both.o
	o.Key = token.NewSecret(testKey.Reveal() + "x")
	first, other := both.open(t), (&place{o: o, admin: both.admin}).open(t)
	mustSave(t, first, "one", 1)
	mustSave(t, other, "two", 1)
	was := both.get(t, "one")
	if _, err := other.Load(t.Context(), "one"); !errors.Is(err, state.ErrKey) || errors.Is(err, token.ErrNoRecord) {
		t.Errorf("Load: %v", err)
	}
	if both.get(t, "one").ResourceVersion != was.ResourceVersion {
		t.Error("the record of another key was touched")
	}
}
