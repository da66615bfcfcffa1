package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// aliveWithin is how long the scheduler may take to answer.
const aliveWithin = 2 * time.Second

// Source is what health is asked of.
type Source interface {
	Alive(ctx context.Context) error
	Status() []token.Status
}

// Handler serves /healthz, which answers whether the scheduler is alive, and
// /readyz, which answers whether every token is valid and held by its sinks.
// Both answer 200 or 503; /readyz says in JSON which tokens are not ready, and how
// many another replica keeps: a standby is ready.
func Handler(s Source) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { health(w, r, s) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { ready(w, s) })
	return mux
}

func health(w http.ResponseWriter, r *http.Request, s Source) {
	ctx, cancel := context.WithTimeout(r.Context(), aliveWithin)
	defer cancel()
	if err := s.Alive(ctx); err != nil {
		http.Error(w, "the scheduler does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

func ready(w http.ResponseWriter, s Source) {
	now := time.Now()
	waiting := map[string]string{}
	standby := 0
	for _, t := range s.Status() {
		if t.State == token.StateStandby {
			standby++
		}
		if why := unready(t, now); why != "" {
			waiting[t.Name] = why
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if len(waiting) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	answer := map[string]any{"ready": len(waiting) == 0, "waiting": waiting}
	if standby > 0 {
		answer["standby"] = standby
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// unready says in words why a token cannot be used by its consumers; it returns
// the empty string for one that can.
func unready(t token.Status, now time.Time) string {
	if t.State == token.StateStandby { // its consumers are served by another replica
		return ""
	}
	if !now.Before(t.ExpiresAt) {
		return string(t.State)
	}
	for _, s := range t.Sinks {
		if s.Generation != t.Generation {
			return fmt.Sprintf("sink %s %s does not hold it yet", s.Kind, s.Target)
		}
	}
	return ""
}
