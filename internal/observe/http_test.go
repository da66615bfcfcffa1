package observe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/token"
)

// source is a scheduler that answers, or is stuck.
type source struct {
	stuck  bool
	tokens []token.Status
}

func (s source) Alive(ctx context.Context) error {
	if s.stuck {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

func (s source) Status() []token.Status { return s.tokens }

func ask(t *testing.T, s source, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	observe.Handler(s).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthTellsOfASchedulerThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if code, body := ask(t, source{stuck: true}, "/healthz"); code != http.StatusServiceUnavailable {
			t.Errorf("stuck: %d %s", code, body)
		}
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("whoever asks is kept waiting for %v", waited)
		}
		if code, body := ask(t, source{}, "/healthz"); code != http.StatusOK {
			t.Errorf("alive: %d %s", code, body)
		}
	})
}

func TestReadyNamesTheTokensThatAreNot(t *testing.T) {
	live, over := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	held := []token.SinkStatus{{Kind: "file", Target: "/run/a", Generation: 1}}
	good := token.Status{Name: "good", State: token.StateFresh, Generation: 1, ExpiresAt: live, Sinks: held}
	for name, test := range map[string]struct {
		token token.Status
		ready bool
	}{
		"fresh":                {token.Status{Name: "this", State: token.StateFresh, Generation: 1, ExpiresAt: live, Sinks: held}, true},
		"retrying, still good": {token.Status{Name: "this", State: token.StateRetrying, Generation: 1, ExpiresAt: live, Sinks: held}, true},
		"expired":              {token.Status{Name: "this", State: token.StateExpired, Generation: 1, ExpiresAt: over, Sinks: held}, false},
		"never had":            {token.Status{Name: "this", State: token.StatePending}, false},
		"in no sink yet":       {token.Status{Name: "this", State: token.StateFresh, Generation: 1, ExpiresAt: live, Sinks: []token.SinkStatus{{Kind: "file"}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			code, body := ask(t, source{tokens: []token.Status{good, test.token}}, "/readyz")
			if (code == http.StatusOK) != test.ready || strings.Contains(body, "this") == test.ready || strings.Contains(body, "good") {
				t.Errorf("%d %s", code, body)
			}
		})
	}
}
