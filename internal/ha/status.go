package ha

import (
	"maps"
	"time"
)

// Status is how a replica stands, for display.
type Status struct {
	Identity string   // as the Leases say
	Name     string   // of the Leases
	Shards   int      // in all
	Held     []int    // by this replica, in order
	Members  []string // the identities of the replicas that are alive, this one included, sorted
	Standby  bool     // nothing is held
	Problem  string   // the last failure, empty once a renewal has succeeded
}

// Status returns how this replica stands now.
func (g *Group) Status() Status {
	now := time.Now()
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := Status{Identity: g.me, Name: g.o.Name, Shards: g.o.Shards, Members: g.members(now), Problem: g.problem}
	for i, h := range g.holds {
		if g.good(h, now) {
			s.Held = append(s.Held, i)
		}
	}
	s.Standby = len(s.Held) == 0
	return s
}

// trouble notes a failure.
func (g *Group) trouble(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(err)
}

// note keeps a failure, and logs it unless it has been lately: an outage fails
// every renewal. The lock is held.
func (g *Group) note(err error) {
	now := time.Now()
	g.problem = err.Error()
	if at, ok := g.noted[g.problem]; ok && now.Sub(at) < noteEvery {
		return
	}
	maps.DeleteFunc(g.noted, func(_ string, at time.Time) bool { return now.Sub(at) >= noteEvery })
	g.noted[g.problem] = now
	g.log.Warn("the API server did not do what sharing work needs", "error", err)
}

const noteEvery = time.Minute
