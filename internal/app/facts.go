package app

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// watched is the App as metrics know it.
type watched struct{ *App }

// Status implements observe.Daemon.
func (w watched) Status() []token.Status { return w.refresher.Status() }

// Each implements observe.Daemon.
func (w watched) Each(f func(*token.Status)) { w.refresher.Each(f) }

// Facts implements observe.Daemon.
func (w watched) Facts() observe.Facts {
	a := w.App
	a.relay.Pass()
	a.mu.Lock()
	f := observe.Facts{LoadedAt: a.loadedAt, Refused: a.problem != nil}
	for name, p := range a.providers {
		for use, end := range map[string]time.Time{"client": p.ends.client, "ca": p.ends.ca} {
			if !end.IsZero() {
				f.Certificates = append(f.Certificates, observe.Certificate{Provider: name, Use: use, NotAfter: end})
			}
		}
	}
	a.mu.Unlock()
	slices.SortFunc(f.Certificates, func(x, y observe.Certificate) int {
		return cmp.Or(strings.Compare(x.Provider, y.Provider), strings.Compare(x.Use, y.Use))
	})
	specs := a.refresher.Specs()
	f.Tokens, f.ConfigHash = len(specs), a.hashes.of(f.LoadedAt, specs)
	if s := a.replicas.status(); s != nil {
		f.Replica = &observe.Replica{Lease: s.Name, Shards: s.Shards, Held: s.Held, Members: len(s.Members), Trouble: s.Problem != ""}
	}
	return f
}

// hashes keeps the hash of the configuration that was loaded last: a fleet's
// takes milliseconds, and scrapes come more often than reloads.
type hashes struct {
	mu     sync.Mutex
	loaded time.Time
	hash   string
}

func (h *hashes) of(loaded time.Time, specs []*refresher.Spec) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hash == "" || !h.loaded.Equal(loaded) {
		h.loaded, h.hash = loaded, configHash(specs)
	}
	return h.hash
}

// configHash covers which tokens are kept, from where, by which schedule and in
// which sinks, and no secret: one that could be guessed must not be in what
// everybody may scrape. It is the same in every replica.
func configHash(specs []*refresher.Spec) string {
	lines := make([]string, 0, len(specs))
	for _, s := range specs {
		var b strings.Builder
		p, sched := s.Policy, &s.Policy.Schedule
		fmt.Fprintf(&b, "%q %q %q %q %v %t %v", s.Name, s.Provider, s.Grant, s.Binding, p.Timeout, p.UseRefresh, p.Grace)
		fmt.Fprintf(&b, " %v %v %v %v %t %v", sched.RefreshAt, sched.Jitter, sched.Lead, sched.MinInterval, s.Hook != nil, s.ProbeAt)
		for _, crons := range [][]cron.Schedule{sched.Cron, sched.LoginCron} {
			b.WriteString(" cron")
			for _, c := range crons {
				writeInstants(&b, c)
			}
		}
		for i := range s.Sinks {
			fmt.Fprintf(&b, " %q %q", s.Sinks[i].Kind, s.Sinks[i].Target)
		}
		lines = append(lines, b.String())
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// writeInstants tells a schedule by some instants that it names: what it is made
// of holds addresses, which differ from process to process.
func writeInstants(b *strings.Builder, c cron.Schedule) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 5 {
		at = c.Next(at)
		fmt.Fprintf(b, " %d", at.Unix())
	}
}
