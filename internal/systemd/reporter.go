package systemd

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// Ready says when the daemon is.
type Ready string

// The choices of the systemd block.
const (
	Delivered Ready = "delivered" // every token was held by all of its sinks once
	Started   Ready = "started"   // at once
)

const (
	// settle is how long news is collected before it is looked at.
	settle = 100 * time.Millisecond
	// share is how many times longer than a look the pause after it is: a fleet
	// that is always busy costs a hundredth of a processor to sum up.
	share = 100
	// longestDrain bounds for how long more time to stop is asked for.
	longestDrain = 10 * time.Minute
	// drainStep is how often it is asked for.
	drainStep = 10 * time.Second
)

// Options are what a Reporter needs.
type Options struct {
	Manager *Manager // nil: nobody listens, and nothing is done
	Ready   Ready
	Tokens  func() []token.Status // how they are now
	Problem func() *token.Problem // why the newest configuration does not run; nil when it does
	Logger  *slog.Logger
}

// Reporter keeps a [Manager] informed. A nil Reporter, as [New] returns it where
// there is no manager, does nothing. All methods are safe for concurrent use.
type Reporter struct {
	options Options
	beats   chan struct{} // holds one that was not passed on yet
	news    chan struct{} // the same of a change

	mu        sync.Mutex // held while something is sent, so that states go out in their order
	ready     bool
	reloading int
	stopping  bool
	said      string // the last sentence
	mute      bool   // that the manager cannot be told was logged
	delivered map[string]bool
}

// New returns a Reporter, and nil without a manager.
func New(o Options) *Reporter {
	if o.Manager == nil {
		return nil
	}
	return &Reporter{options: o, beats: make(chan struct{}, 1), news: make(chan struct{}, 1), delivered: map[string]bool{}}
}

// Observe implements refresher.Observer: something happened, so that the sentence
// may have changed.
func (r *Reporter) Observe(refresher.Event) { r.rouse() }

func (r *Reporter) rouse() {
	if r != nil {
		put(r.news)
	}
}

// Beat tells that the scheduler has gone round. It does not block.
func (r *Reporter) Beat() {
	if r != nil {
		put(r.beats)
	}
}

func put(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// BeatEvery is how often Beat is to be called at least; 0 means never. Beats are
// passed on as seldom again, so that a manager hears twice within its patience.
func (r *Reporter) BeatEvery() time.Duration {
	if r == nil {
		return 0
	}
	return r.options.Manager.patience() / 4
}

// Run reports until ctx ends. The manager hears that the daemon stops as soon as
// serving ends, which is to be before that, and then is asked for time.
func (r *Reporter) Run(ctx, serving context.Context) {
	if r == nil {
		return
	}
	var parts sync.WaitGroup
	parts.Go(func() { r.feed(serving) })
	parts.Go(func() { r.tell(serving) })
	parts.Wait()
	r.stop()
	for began := time.Now(); time.Since(began) < longestDrain; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(drainStep):
			r.extend()
		}
	}
	<-ctx.Done()
}

// feed passes beats on.
func (r *Reporter) feed(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.beats:
		}
		r.pulse()
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.BeatEvery()):
		}
	}
}

func (r *Reporter) pulse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := ""
	if r.options.Manager.watchdog > 0 {
		state = daemon.SdNotifyWatchdog + "\n"
	}
	if !r.ready {
		state += usec("EXTEND_TIMEOUT_USEC", r.options.Manager.patience())
	}
	r.pass(state)
}

// tell sums up what is the case whenever something happened.
func (r *Reporter) tell(ctx context.Context) {
	for {
		began := time.Now()
		r.look(began)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(settle, share*time.Since(began))):
		}
		select {
		case <-ctx.Done():
			return
		case <-r.news:
		}
	}
}

// look says what has changed of the sentence, and READY=1 when it is time.
func (r *Reporter) look(now time.Time) {
	tokens := r.options.Tokens()
	problem := r.options.Problem()
	r.mu.Lock()
	defer r.mu.Unlock()
	state := ""
	if !r.ready && (r.options.Ready == Started || r.complete(tokens, now)) {
		r.ready = true
		r.delivered = nil
		if r.reloading == 0 { // or the reload says so when it is done
			state = daemon.SdNotifyReady + "\n"
		}
	}
	if s := sentence(tokens, problem, r.ready); s != r.said {
		r.said = s
		state += "STATUS=" + s + "\n"
	}
	r.pass(state)
}

// complete tells whether each token was held by all of its sinks once.
func (r *Reporter) complete(tokens []token.Status, now time.Time) bool {
	all := true
	for i := range tokens {
		t := &tokens[i]
		if !r.delivered[t.Name] {
			r.delivered[t.Name] = held(t, now)
			all = all && r.delivered[t.Name]
		}
	}
	return all
}

// held tells whether a token's consumers have a valid one, from this process or,
// of a standby, from the replica that keeps it.
func held(t *token.Status, now time.Time) bool {
	if t.State == token.StateStandby {
		return true
	}
	if !now.Before(t.ExpiresAt) {
		return false
	}
	for i := range t.Sinks {
		if t.Sinks[i].Generation != t.Generation {
			return false
		}
	}
	return true
}

// Reloading tells that the configuration is being read, until done is called.
// While it starts the daemon is not ready, and a reload is part of that.
func (r *Reporter) Reloading() (done func()) {
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reloading++
	if r.ready && r.reloading == 1 {
		r.pass(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	}
	return sync.OnceFunc(r.reloaded)
}

func (r *Reporter) reloaded() {
	defer r.rouse()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reloading--
	if r.ready && r.reloading == 0 {
		r.pass(daemon.SdNotifyReady + "\n")
	}
}

// stop says that the daemon stops. The scheduler's loop has ended by then, so
// that the watchdog is told to wait for as long as a drain may take.
func (r *Reporter) stop() {
	state := daemon.SdNotifyStopping + "\nSTATUS=stopping: finishing what is in flight\n" + usec("EXTEND_TIMEOUT_USEC", 3*drainStep)
	if r.options.Manager.watchdog > 0 {
		state += usec("WATCHDOG_USEC", longestDrain)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopping = true
	r.deliver(state)
}

// extend asks for more time to stop.
func (r *Reporter) extend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deliver(usec("EXTEND_TIMEOUT_USEC", 3*drainStep))
}

// pass delivers, with the lock held, what nobody needs any more once the daemon
// stops.
func (r *Reporter) pass(state string) {
	if state != "" && !r.stopping {
		r.deliver(state)
	}
}

// deliver hands a state over, with the lock held. A manager that cannot be told is
// no reason to stop: it will act on its own, and the log says so once.
func (r *Reporter) deliver(state string) {
	err := r.options.Manager.send(strings.TrimSuffix(state, "\n"))
	if err != nil && !r.mute {
		r.options.Logger.Warn("the service manager cannot be told how the daemon is", "event", "notify_failed", "error", err)
	}
	r.mute = err != nil
}
