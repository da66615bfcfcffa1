package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/systemd"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/tracing"
)

// Options are what an App needs.
type Options struct {
	ConfigPaths []string             // files and directories
	Version     string               // shown in status
	LogOutput   io.Writer            // nil: standard error
	Logger      *slog.Logger         // nil: as the configuration's log block says, to LogOutput
	Observers   []refresher.Observer // hear of every event, beside log and statistics

	// Manager is the service manager that Run tells how the daemon is; nil: none.
	Manager *systemd.Manager

	// Now reads the wall clock for the scheduler; nil: time.Now.
	Now func() time.Time

	// Alone leaves the ha block aside: every token is this process's. The state
	// fences it from the replicas that run meanwhile.
	Alone bool
}

// App is a daemon: a configuration and what runs of it. All methods are safe for
// concurrent use, but Run, Once and Close, of which one is called once.
type App struct {
	options   Options
	logger    *slog.Logger
	salt      []byte
	started   time.Time
	stats     *observe.Delivery
	timeline  *page.Timeline
	metrics   *observe.Metrics
	tracer    *tracing.Tracer // nil without a tracing block
	hashes    hashes
	store     state.Store
	clients   *clients
	lines     *observe.Lines
	relay     *observe.Relay
	places    *destinations
	refresher *refresher.Refresher
	replicas  *replicas // nil where there is one replica only
	reporter  *systemd.Reporter
	fixed     fixed
	state     control.StateStatus
	reloaded  chan struct{} // roused when the paths to watch may have changed
	reread    chan struct{} // and the remote secrets

	reload sync.Mutex // one reload at a time

	mu        sync.Mutex
	providers map[string]*provider
	watch     []string
	remote    []config.RemoteSecret
	before    eve // of the last load, whether or not it was good
	loadedAt  time.Time
	problem   *token.Problem // why the newest configuration does not run
	warnings  int
}

// New loads the configuration, takes the state and builds everything. It makes
// no token request and writes no sink. A configuration that cannot be used is a
// [*config.Error]; a state file that another daemon owns wraps ErrLocked of
// state/file.
func New(ctx context.Context, o Options) (*App, error) {
	began := time.Now()
	logger := newLateLogger(o.Logger)
	from := newClients(slog.New(logger))
	cfg, report := load(ctx, o.ConfigPaths, from)
	if err := report.Err(); err != nil {
		from.close()
		return nil, err
	}
	lines := observe.NewLines(cmp.Or[io.Writer](o.LogOutput, os.Stderr))
	if o.Logger == nil {
		logger.to.Store(observe.NewLogger(lines, cfg.Log.Format, cfg.Log.Level))
	}
	a := &App{lines: lines, options: o, before: eve{began: began, digest: digest(nil)}, salt: make([]byte, 32), started: time.Now(), stats: &observe.Delivery{}, timeline: page.NewTimeline(),
		fixed: fixedOf(cfg), clients: from, logger: logger.to.Load(), reloaded: make(chan struct{}, 1), reread: make(chan struct{}, 1)}
	_, _ = rand.Read(a.salt) // never fails: it ends the process instead
	if err := a.assemble(ctx, cfg); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.warn(report)
	if err := a.apply(ctx, cfg, report); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// assemble makes what outlives reloads.
func (a *App) assemble(ctx context.Context, cfg *config.Config) (err error) {
	if a.store, err = openState(ctx, &cfg.State, a.clients, a.logger); err != nil {
		return err
	}
	a.state = stateStatus(&cfg.State)
	monitor, err := file.NewMonitor(a.logger)
	if err != nil {
		return err
	}
	a.places = &destinations{files: monitor, clients: a.clients}
	a.reporter = a.report(cfg.Systemd)
	a.relay = observe.NewRelay(a.lines, a.observers()...)
	o := refresher.Options{
		Store: a.store, Writers: writers(), Observers: []refresher.Observer{a.relay},
		Now: a.options.Now, Beat: a.reporter.Beat, BeatEvery: a.reporter.BeatEvery(),
	}
	if cfg.HA != nil && !a.options.Alone {
		if a.replicas, err = a.join(cfg.HA); err != nil {
			return err
		}
		o.Owns, o.MayAct = a.replicas.Owns, a.replicas.MayAct
		a.places.mayAct = o.MayAct
	}
	a.refresher = refresher.New(o)
	return nil
}

// observers is the list of those who hear of events. Without an address nobody
// can ask for metrics, and nothing is counted for them.
func (a *App) observers() []refresher.Observer {
	list := []refresher.Observer{observe.NewLog(a.logger), a.stats, a.timeline}
	if a.fixed.http.Address != "" {
		a.metrics = observe.NewMetrics(observe.MetricsOptions{Version: a.options.Version, PerTokenUpTo: a.fixed.metrics.PerTokenUpTo})
		list = append(list, a.metrics)
	}
	if c := a.fixed.tracing; c.Endpoint != "" {
		a.tracer = tracing.New(tracing.Options{Endpoint: c.Endpoint, Headers: c.Headers, Sample: c.Sample, Version: a.options.Version, Logger: a.logger})
		list = append(list, a.tracer)
	}
	return append(append(list, a.reporter), a.options.Observers...)
}

// Close releases what New took, for an App that is not run.
func (a *App) Close() error {
	var errs []error
	if a.places != nil {
		errs = append(errs, a.places.files.Close())
	}
	for _, p := range a.providers {
		p.close()
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.clients != nil {
		a.clients.close()
	}
	return errors.Join(errs...)
}

// Run keeps the tokens fresh, answers on the control socket and follows the
// configuration, until ctx ends. It then drains: a refresh that is in flight is
// committed and delivered. Run closes the App.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.Close()) }()
	socket, err := control.Listen(ctx, control.Options{Socket: a.fixed.control.Socket, Group: a.fixed.control.Group, Daemon: daemon{a}, Logger: a.logger})
	if err != nil {
		return err
	}
	page, err := a.listen()
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var parts sync.WaitGroup
	serve := func(what string, f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil {
				stop(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	serve("serving the control socket", socket.Serve)
	serve("serving http", page)
	serve("watching the configuration", a.follow)
	serve("watching remote secrets", a.followRemote)
	serve("watching files", func(ctx context.Context) error { a.places.files.Run(ctx); return nil })
	serve("returning memory", a.slim)
	a.relay.Gather()
	a.logger.Info("started", "event", "started", "version", a.options.Version, "tokens", len(a.refresher.Specs()), "socket", a.fixed.control.Socket)
	a.keep(ctx, stop)
	parts.Wait()
	a.relay.Through()
	a.logger.Info("stopped", "event", "stopped")
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// keep runs the refresher until ctx ends, and around it, so that the drain still
// has them, the clients and this replica's part among others.
func (a *App) keep(ctx context.Context, stop context.CancelCauseFunc) {
	outer, end := context.WithCancel(context.WithoutCancel(ctx))
	var around sync.WaitGroup
	around.Go(func() { a.clients.run(outer) })
	around.Go(func() { a.reporter.Run(outer, ctx) })
	around.Go(func() { a.tracer.Run(outer) })
	members, leave := context.WithCancel(outer)
	var group sync.WaitGroup
	if r := a.replicas; r != nil {
		group.Go(func() {
			if err := r.Run(members); err != nil {
				stop(fmt.Errorf("sharing the tokens: %w", err))
			}
		})
		around.Go(func() { r.follow(outer) })
	}
	a.refresher.Run(ctx)
	leave()
	group.Wait()
	end()
	around.Wait()
}

// slim gives back memory that a burst took and an idle daemon does not need: the
// stacks and buffers of hundreds of requests at a start, above all.
func (a *App) slim(ctx context.Context) error {
	for wait := 10 * time.Second; ; wait = time.Minute {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
			debug.FreeOSMemory()
		}
	}
}

// Once fills every sink and returns. When ctx ends before that is done, the
// error names what is missing; what was obtained is kept and delivered all the
// same. Once closes the App.
func (a *App) Once(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.Close()) }()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { a.keep(running, func(error) {}) })
	err = a.refresher.Wait(ctx, nil, 0)
	stop()
	parts.Wait()
	return err
}
