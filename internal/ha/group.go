package ha

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
)

// Options say what is shared and how.
type Options struct {
	// Client should not share its rate limit with other work: a renewal that
	// waits behind a thousand Secrets comes too late. It needs the verbs get,
	// list, watch, create, update and delete on Leases.
	Client    kubernetes.Interface
	Namespace string
	Name      string // of the Lease, or what the names of several begin with: an RFC 1123 subdomain
	Identity  string // of this replica, for people; need not be unique, since something random is added
	Shards    int    // at least 1, and the same for all replicas; see Run for a change of it

	LeaseDuration time.Duration // after which a Lease that is not renewed may be taken; at least a second
	RenewEvery    time.Duration // less than half of LeaseDuration

	// Release ends what is in flight for a shard that is to be given up, and
	// returns then. From its call on, Owns is false for the shard's tokens, while
	// Holds stays true. ctx ends when the Lease is lost meanwhile. It is called
	// for several shards at once. Nil: nothing has to be ended.
	Release func(ctx context.Context, shard int)

	// Changed is called after the answers of Owns may have changed, one call at a
	// time; several changes may share one. Nil: nobody is told.
	Changed func()

	Logger *slog.Logger // nil: [slog.DiscardHandler]
}

// Group is this replica's part in sharing the shards. All methods are safe for
// concurrent use.
type Group struct {
	o   Options
	me  string // unique: what the Leases say
	log *slog.Logger

	poked   chan struct{}
	changed chan struct{}
	ops     sync.WaitGroup // requests and releases under way

	mu      sync.RWMutex
	running bool
	leaving time.Time // when Run's context ended; zero before

	// What is seen of the others.
	leases    map[string]*observed
	sighted   bool      // a watch is under way
	seen      time.Time // the last news
	settled   time.Time // not before then is anything taken
	stepped   time.Time
	stopWatch context.CancelFunc
	problem   string
	noted     map[string]time.Time // failures, and when they were logged

	// What is held.
	holds     []*hold
	taking    []taking
	freeSince []time.Time
	member    hold
	absent    bool // the replica's own Lease is deleted for good
	sweeping  attempt
}

// attempt is a request that may be under way, or is not to be repeated yet.
type attempt struct {
	busy bool
	next time.Time
}

// taking is a Lease that this replica tries to take.
type taking struct {
	attempt
	kept bool // beyond the share, because nobody else did
}

// hold is a Lease that this replica holds.
type hold struct {
	attempt
	renewed time.Time // when the request was sent that renewed it last
	taken   time.Time
	kept    bool               // see taking
	going   bool               // its shard is being released
	drained bool               // and nothing is in flight for it any more
	gone    bool               // it is being freed: others may hold it from now on
	cancel  context.CancelFunc // of the release
}

// keepFor is for how many durations of a Lease a shard is kept that nobody else
// took in time.
const keepFor = 3

// New checks o. Nothing is requested before Run.
func New(o Options) (*Group, error) {
	var errs []error
	complain := func(wrong bool, what string) {
		if wrong {
			errs = append(errs, errors.New(what))
		}
	}
	complain(o.Client == nil, "there is no client")
	complain(!subdomainPattern.MatchString(o.Name) || len(memberPrefix(o.Name))+len(digest("")) > maxName, "the name is none for Leases")
	complain(!identityPattern.MatchString(o.Identity), "the identity is not one word")
	complain(o.Shards < 1, "there must be at least one shard")
	complain(o.LeaseDuration < time.Second, "a Lease lasts for at least a second")
	complain(o.RenewEvery <= 0 || 2*o.RenewEvery >= o.LeaseDuration, "a Lease must be renewed more than twice in its duration")
	if len(errs) > 0 {
		return nil, fmt.Errorf("sharing work by Leases %q: %w", o.Name, errors.Join(errs...))
	}
	g := &Group{
		o: o, me: o.Identity + "_" + strings.ToLower(rand.Text()[:10]), log: o.Logger,
		poked: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		leases: make(map[string]*observed),
		holds:  make([]*hold, o.Shards), taking: make([]taking, o.Shards), freeSince: make([]time.Time, o.Shards),
		noted: make(map[string]time.Time), stopWatch: func() {},
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g, nil
}

// Run takes part until ctx ends. Then it gives up what it holds, gracefully, and
// returns once that is done or has run out by itself; it does not wait longer
// than Release takes, and then one duration of a Lease. Run fails only when it is
// called twice: what the API server refuses is logged, shown in Status, and tried
// again.
//
// While replicas with different numbers of shards meet, as at a roll-out of a
// new number, those that hold nothing yet wait for the others to go.
func (g *Group) Run(ctx context.Context) error {
	g.mu.Lock()
	if g.running {
		g.mu.Unlock()
		return errors.New("sharing work by Leases: it runs already")
	}
	g.running = true
	g.mu.Unlock()

	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	all.Go(func() { g.follow(work) })
	all.Go(func() { g.notify(work) })
	tick := time.NewTicker(min(g.o.RenewEvery/5, time.Second))
	defer tick.Stop()
	ended := ctx.Done()
	for !g.step(work, time.Now()) {
		select {
		case <-g.poked:
		case <-tick.C:
		case <-ended:
			ended = nil
			g.leave(time.Now())
		}
	}
	g.ops.Wait()
	stop()
	all.Wait()
	return nil
}

// Holds reports whether this replica holds a shard at this instant. It is false
// from when another may hold it, however long this process was stopped before it
// asked.
func (g *Group) Holds(shard int) bool {
	now := time.Now()
	g.mu.RLock()
	defer g.mu.RUnlock()
	return shard >= 0 && shard < len(g.holds) && g.good(g.holds[shard], now)
}

// good reports whether nobody else can hold h yet, with the lock held.
func (g *Group) good(h *hold, now time.Time) bool {
	return h != nil && !h.gone && elapsed(h.renewed, now) < g.term()
}

// Owns reports whether this replica is to keep a token: it holds the token's
// shard, and is not about to give it up.
func (g *Group) Owns(tokenName string) bool {
	shard, now := g.Shard(tokenName), time.Now()
	g.mu.RLock()
	defer g.mu.RUnlock()
	h := g.holds[shard]
	return g.good(h, now) && !h.going
}

// MayAct reports whether this replica may, at this instant, send a request or
// write a sink for a token: it holds the token's shard, be it for a last time.
func (g *Group) MayAct(tokenName string) bool { return g.Holds(g.Shard(tokenName)) }

// Shard returns the shard of a token; see [ShardOf].
func (g *Group) Shard(tokenName string) int { return ShardOf(tokenName, g.o.Shards) }

// term is how long a renewal is good for.
func (g *Group) term() time.Duration { return g.o.LeaseDuration * 4 / 5 }

// patience bounds a request, so that two fit between a renewal that is due and
// the end of the term.
func (g *Group) patience() time.Duration { return (g.term() - g.o.RenewEvery) / 2 }

// elapsed is the time since an earlier instant, by the clock that has gone
// further: one of the two stands still in a suspended machine, the other may be
// set back.
func elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

func (g *Group) wake() {
	select {
	case g.poked <- struct{}{}:
	default:
	}
}

// tell has Changed called.
func (g *Group) tell() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

func (g *Group) notify(ctx context.Context) {
	for {
		select {
		case <-g.changed:
		case <-ctx.Done():
			select {
			case <-g.changed:
			default:
				return
			}
		}
		if g.o.Changed != nil {
			g.o.Changed()
		}
	}
}
