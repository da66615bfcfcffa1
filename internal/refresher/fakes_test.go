package refresher

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// memory is a Store whose Saves can be made to fail, and a Gatherer that keeps
// account of what it is told.
type memory struct {
	mu      sync.Mutex
	told    []int // what Expect was called with
	awaited int   // saves that are expected still
	least   int   // the lowest that awaited ever was
	records map[string]token.Record
	history []token.Record
	fail    func(r token.Record) error
}

func newMemory() *memory { return &memory{records: map[string]token.Record{}} }

func (m *memory) Load(_ context.Context, name string) (token.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[name]
	if !ok {
		return r, token.ErrNoRecord
	}
	return r, nil
}

func (m *memory) Expect(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, n)
	m.count(n)
}

func (m *memory) count(n int) {
	m.awaited += n
	m.least = min(m.least, m.awaited)
}

func (m *memory) SaveExpected(ctx context.Context, name string, r token.Record) error {
	m.mu.Lock()
	m.count(-1)
	m.mu.Unlock()
	return m.Save(ctx, name, r)
}

// settled tells whether each save that was announced has come, or was taken back.
func (m *memory) settled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.awaited == 0 && m.least == 0
}

func (m *memory) Save(_ context.Context, name string, r token.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(r); err != nil {
			return err
		}
	}
	m.records[name] = r
	m.history = append(m.history, r)
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, name)
	return nil
}

func (m *memory) get(name string) token.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[name]
}

func (m *memory) setFail(f func(token.Record) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = f
}

// call is one request that a scripted server saw.
type call struct {
	kind    string // "login" or "refresh"
	at      time.Time
	refresh token.Secret
}

// server is a Source. What it answers is up to reply; by default it hands out
// tokens of the given lifetime and rotates refresh tokens strictly: a
// superseded one is refused.
type server struct {
	lifetime time.Duration
	rotates  bool
	seed     token.Secret
	now      func() time.Time

	mu      sync.Mutex
	calls   []call
	issued  int
	current token.Secret
	reused  []token.Secret
	reply   func(ctx context.Context, c call, n int) (token.Answer, error, bool) // false: as by default
}

func (s *server) Seed() token.Secret { return s.seed }

func (s *server) Login(ctx context.Context) (token.Answer, error) {
	return s.serve(ctx, call{kind: "login"})
}

func (s *server) Refresh(ctx context.Context, rt token.Secret) (token.Answer, error) {
	return s.serve(ctx, call{kind: "refresh", refresh: rt})
}

func (s *server) serve(ctx context.Context, c call) (token.Answer, error) {
	s.mu.Lock()
	c.at = s.clock()
	s.calls = append(s.calls, c)
	n := len(s.calls)
	reply := s.reply
	s.mu.Unlock()
	if reply != nil {
		if a, err, ok := reply(ctx, c, n); ok {
			return a, err
		}
	}
	return s.grant(c)
}

// grant commits an answer, as a server does whether or not it is read.
func (s *server) grant(c call) (token.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.kind == "refresh" && s.rotates && !c.refresh.Equal(s.current) {
		s.reused = append(s.reused, c.refresh)
		return token.Answer{}, rejected()
	}
	s.issued++
	a := token.Answer{
		AccessToken: token.NewSecret(fmt.Sprintf("access-%d%s", s.issued, s.seed.Reveal())), TokenType: "Bearer",
		IssuedAt: s.clock(), ExpiresAt: s.clock().Add(s.lifetime),
	}
	if s.rotates {
		s.current = token.NewSecret(fmt.Sprintf("refresh-%d", s.issued))
		a.RefreshToken = s.current
	}
	return a, nil
}

func (s *server) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now().Round(0)
}

func (s *server) seen() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]call(nil), s.calls...)
}

func (s *server) script(reply func(ctx context.Context, c call, n int) (token.Answer, error, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = reply
}

func rejected() error {
	return &token.Failure{Class: token.Rejected, Reason: "oauth_error", Status: 400, Code: "invalid_grant"}
}

func notSent() error {
	return &token.Failure{Class: token.NotSent, Reason: "dial", Err: errors.New("connection refused")}
}

func lost() error {
	return &token.Failure{Class: token.Ambiguous, Reason: "timeout", Err: context.DeadlineExceeded}
}

func unavailable() error {
	return &token.Failure{Class: token.Ambiguous, Reason: "http_status", Status: 503}
}

// hang answers like a server that accepts and never answers.
func hang(ctx context.Context, _ call, _ int) (token.Answer, error, bool) {
	<-ctx.Done()
	return token.Answer{}, lost(), true
}

// slot is a Sink.
type slot struct {
	mu     sync.Mutex
	holds  token.Token
	writes []token.Token
	at     []time.Time
	fail   func(n int) error
	delay  time.Duration
	hold   chan struct{}
	drift  func()
}

func (s *slot) Write(ctx context.Context, t token.Token) (bool, error) {
	if s.hold != nil {
		<-s.hold
	}
	if s.delay > 0 {
		time.Sleep(s.delay)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, time.Now().Round(0))
	if s.fail != nil {
		if err := s.fail(len(s.at)); err != nil {
			return false, err
		}
	}
	if reflect.DeepEqual(s.holds, t) {
		return false, nil
	}
	s.holds = t
	s.writes = append(s.writes, t)
	return true, nil
}

func (s *slot) Watch(drift func()) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drift = drift
	return func() {}, nil
}

// vandalise changes the sink from outside.
func (s *slot) vandalise() {
	s.mu.Lock()
	s.holds = token.Token{}
	drift := s.drift
	s.mu.Unlock()
	drift()
}

func (s *slot) current() token.Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds
}

func (s *slot) tries() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.at...)
}

// journal is an Observer.
type journal struct {
	mu     sync.Mutex
	events []Event
}

func (j *journal) Observe(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) of(kinds ...Kind) []Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []Event
	for _, e := range j.events {
		for _, k := range kinds {
			if e.Kind == k {
				found = append(found, e)
			}
		}
	}
	return found
}

// rig is a Refresher in a bubble of its own, where time is fake.
type rig struct {
	t       *testing.T
	r       *Refresher
	store   *memory
	events  *journal
	policy  Policy
	step    time.Duration // the wall clock's offset
	stepped sync.Mutex
	stop    func()
}

func newRig(t *testing.T) *rig {
	g := &rig{t: t, store: newMemory(), events: &journal{}, policy: Policy{
		Timeout: 30 * time.Second, UseRefresh: true,
		Schedule: Schedule{RefreshAt: 0.75, Lead: 30 * time.Second, MinInterval: 10 * time.Second},
	}}
	g.start()
	return g
}

// start begins a daemon's life on the rig's store.
func (g *rig) start() {
	g.r = New(Options{Store: g.store, Observers: []Observer{g.events}, Now: g.now, Writers: map[string]int{"file": 2}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); g.r.Run(ctx) }()
	g.stop = func() {
		cancel()
		<-done
		if !g.store.settled() {
			g.t.Error("the store was told of other saves than came")
		}
	}
}

func (g *rig) now() time.Time {
	g.stepped.Lock()
	defer g.stepped.Unlock()
	return time.Now().Add(g.step)
}

// turn steps the wall clock.
func (g *rig) turn(d time.Duration) {
	g.stepped.Lock()
	defer g.stepped.Unlock()
	g.step += d
}

func (g *rig) spec(name string, s Source, sinks ...Sink) *Spec {
	p := g.policy
	spec := &Spec{Name: name, Provider: "p", Grant: "password", Binding: "b", Source: s, Policy: &p}
	for i, k := range sinks {
		target := fmt.Sprintf("%s/%d", name, i)
		spec.Sinks = append(spec.Sinks, SinkSpec{Kind: "file", Target: target, Sink: k, Fingerprint: Fingerprint([]byte(fmt.Sprintf("%-16.16s", target)))})
	}
	return spec
}

func (g *rig) apply(specs ...*Spec) {
	g.t.Helper()
	if err := g.r.Apply(g.t.Context(), specs, map[string]Limits{"p": {Concurrency: 64}}); err != nil {
		g.t.Fatal(err)
	}
	synctest.Wait()
}

func (g *rig) status(name string) token.Status {
	g.t.Helper()
	for _, s := range g.r.Status() {
		if s.Name == name {
			return s
		}
	}
	g.t.Fatalf("no token %q", name)
	return token.Status{}
}

// pass lets fake time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// bubble runs f where time is fake.
func bubble(t *testing.T, f func(t *testing.T, g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer func() {
			g.stop()
			time.Sleep(time.Minute) // writes that the shutdown did not wait for end too
		}()
		f(t, g)
	})
}
