package observe

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// aliveWithin is how long the scheduler may take to answer.
const aliveWithin = 2 * time.Second

// Handler serves /healthz, which answers whether the scheduler is alive,
// /readyz, which answers whether every token is valid and held by its sinks, and
// /readyz/NAME, which answers that of one token. All answer 200 or 503, and 404
// for a token that is not configured; in plain text or, where ?format=json or
// the Accept header asks for it, in JSON. With ?verbose, /readyz lists every
// token. Tokens that another replica keeps are ready: a standby says so, and
// takes its place behind a load balancer and in a rollout. One that could not take
// over is no standby: trouble says why, and is empty otherwise; nil stands for a
// daemon without other replicas.
func Handler(s Source, trouble func() string) http.Handler {
	if trouble == nil {
		trouble = func() string { return "" }
	}
	mux := http.NewServeMux()
	serve := func(pattern string, answer func(*http.Request) report) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) { reply(w, r, answer) })
	}
	serve("/healthz", func(r *http.Request) report { return health(r.Context(), s) })
	serve("/readyz", func(r *http.Request) report { return ready(s.Status(), trouble(), verbose(r), time.Now()) })
	serve("/readyz/{name}", func(r *http.Request) report { return readyOne(s.Status(), r.PathValue("name"), time.Now()) })
	return mux
}

func verbose(r *http.Request) bool {
	q := r.URL.Query()
	return q.Has("verbose") && q.Get("verbose") != "false" && q.Get("verbose") != "0"
}

// healthReport is the JSON of /healthz.
type healthReport struct {
	Alive bool `json:"alive"`
}

func health(ctx context.Context, s Source) report {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	if err := s.Alive(ctx); err != nil {
		return report{http.StatusServiceUnavailable, "the scheduler does not answer\n", healthReport{}}
	}
	return report{http.StatusOK, "ok\n", healthReport{Alive: true}}
}

// readyReport is the JSON of /readyz.
type readyReport struct {
	Ready   bool              `json:"ready"`
	Tokens  int               `json:"tokens"`
	Standby int               `json:"standby,omitempty"` // of them, kept by other replicas
	Trouble string            `json:"trouble,omitempty"` // why this replica could not take those over
	Waiting map[string]string `json:"waiting"`           // those that are not ready, and why
	Details []tokenReport     `json:"details,omitempty"` // of all, with ?verbose
}

// tokenReport is the JSON of /readyz/NAME.
type tokenReport struct {
	Token     string      `json:"token"`
	Ready     bool        `json:"ready"`
	State     token.State `json:"state"`
	ExpiresAt time.Time   `json:"expires_at,omitzero"`
	Reason    string      `json:"reason,omitempty"` // why it is not ready
}

func reportOn(t *token.Status, now time.Time) tokenReport {
	why := unready(t, now)
	return tokenReport{Token: t.Name, Ready: why == "", State: t.State, ExpiresAt: t.ExpiresAt, Reason: why}
}

func (t *tokenReport) line(now time.Time) string {
	switch {
	case !t.Ready:
		return fmt.Sprintf("[-] %s: %s\n", t.Token, t.Reason)
	case t.State == token.StateStandby:
		return fmt.Sprintf("[=] %s: another replica keeps it\n", t.Token)
	}
	return fmt.Sprintf("[+] %s: %s, expires in %s\n", t.Token, t.State, t.ExpiresAt.Sub(now).Round(time.Second))
}

// mostLines bounds what is said without being asked for: a kubelet's event and a
// terminal take no thousand lines.
const mostLines = 50

func ready(status []token.Status, trouble string, verbose bool, now time.Time) report {
	out := readyReport{Tokens: len(status), Waiting: map[string]string{}}
	var lines []byte
	for i := range status {
		t := reportOn(&status[i], now)
		if t.State == token.StateStandby {
			out.Standby++
		}
		if !t.Ready {
			out.Waiting[t.Token] = t.Reason
		}
		if verbose {
			out.Details = append(out.Details, t)
		}
		if verbose || !t.Ready && len(out.Waiting) <= mostLines {
			lines = append(lines, t.line(now)...)
		}
	}
	if out.Standby > 0 {
		out.Trouble = trouble
	}
	out.Ready = len(out.Waiting) == 0 && out.Trouble == ""
	if more := len(out.Waiting) - mostLines; more > 0 && !verbose {
		lines = fmt.Appendf(lines, "and %d more\n", more)
	}
	return report{statusCode(out.Ready), string(lines) + out.sentence(), out}
}

func (r *readyReport) sentence() string {
	switch {
	case r.Trouble != "":
		return fmt.Sprintf("not ready: this replica could not take over: %s\n", r.Trouble)
	case !r.Ready:
		return fmt.Sprintf("not ready: %d of %d tokens\n", len(r.Waiting), r.Tokens)
	case r.Standby == r.Tokens && r.Standby > 0:
		return "ok, standing by: other replicas keep the tokens\n"
	case r.Standby > 0:
		return fmt.Sprintf("ok, and other replicas keep %d of %d tokens\n", r.Standby, r.Tokens)
	}
	return "ok\n"
}

func readyOne(status []token.Status, name string, now time.Time) report {
	for i := range status {
		if status[i].Name == name {
			t := reportOn(&status[i], now)
			return report{statusCode(t.Ready), t.line(now), t}
		}
	}
	return report{http.StatusNotFound, "no such token\n", map[string]string{"error": "no such token"}}
}

func statusCode(ready bool) int {
	if ready {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// unready says in words why a token cannot be used by its consumers; it returns
// the empty string for one that can.
func unready(t *token.Status, now time.Time) string {
	if t.State == token.StateStandby { // its consumers are served by another replica
		return ""
	}
	if !now.Before(t.ExpiresAt) {
		return string(cmp.Or(t.State, token.StatePending))
	}
	for _, s := range t.Sinks {
		if s.Generation != t.Generation {
			return fmt.Sprintf("sink %s %s does not hold it yet", s.Kind, s.Target)
		}
	}
	return ""
}
