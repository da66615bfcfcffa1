package replicas

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/strict"
)

// scene is a run that is told to the judge: one token in one shard, which a-1
// keeps and b-1 takes over when it is told to. Its clock goes by steps, and each
// step is later than the schedule's wait.
type scene struct {
	*judge
	server *strict.Server
	now    time.Time
	rev    uint64
	gen    uint64
}

const step = 12 * time.Second

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{server: strict.Start(t, time.Hour), now: time.Now()}
	s.judge = &judge{facts: facts{
		plan:    plan{shards: 1, lifetime: 20 * time.Second},
		history: &history{records: map[string][]version{}, sinks: map[string][]written{}, leases: map[string][]holding{}},
		lost:    map[string]int{}, byRefresh: s.server.ByRefresh, byAccess: s.server.ByAccess,
		late: func(time.Time, time.Time) time.Duration { return 0 },
	}}
	s.lease("a-1")
	return s
}

func (s *scene) revision() uint64 { s.rev++; return s.rev }

func (s *scene) lease(source string) {
	s.leases["tokend"] = append(s.leases["tokend"], holding{revision: s.revision(), holder: source + "_x", from: s.now})
}

// takeOver: a-1 is killed or stopped at this instant, and b-1 has its Lease a
// while later.
func (s *scene) takeOver() {
	s.disturbed = append(s.disturbed, disturbance{"stop", "a-1", -1, s.now, s.now.Add(4 * time.Second)})
	s.now = s.now.Add(4 * time.Second)
	s.lease("b-1")
	s.now = s.now.Add(2 * time.Second)
}

// request enters a request into the journal and answers it.
func (s *scene) request(kind, source string, shown *strict.Issue) *strict.Issue {
	e := strict.Entry{User: "ann", Kind: kind, Source: source, Arrived: s.now}
	family := &strict.Family{User: "ann"}
	if shown != nil {
		e.Refresh, family = shown.Refresh, shown.Family
	}
	if kind != strict.Reuse {
		s.server.Issue(family)
		e.Issued = family.Latest
	}
	s.journal = append(s.journal, e)
	return e.Issued
}

func (s *scene) record(held *strict.Issue, spent bool) {
	r := token.Record{RefreshToken: token.NewSecret(held.Refresh)}
	r.AccessToken, r.IssuedAt = token.NewSecret(held.Access), s.now
	if spent {
		r.Intent = &token.Intent{Attempt: 1, Spent: sha256.Sum256([]byte(held.Refresh))}
	}
	s.records["ann"] = append(s.records["ann"], version{revision: s.revision(), record: r})
}

func (s *scene) sink(held *strict.Issue) {
	s.gen++
	s.sinks["ann"] = append(s.sinks["ann"], written{revision: s.revision(), seen: s.now, access: held.Access, generation: s.gen})
}

func (s *scene) patch(name string) {
	s.patches = append(s.patches, testbed.Request{User: "system:serviceaccount:x:" + name, Name: "ann", Code: 200, At: s.now})
}

func (s *scene) login(source string) *strict.Issue {
	i := s.request(strict.Login, source, nil)
	s.record(i, false)
	s.sink(i)
	s.now = s.now.Add(step)
	return i
}

func (s *scene) refreshed(source string, shown *strict.Issue) *strict.Issue {
	s.record(shown, true)
	i := s.request(strict.Refresh, source, shown)
	s.record(i, false)
	s.sink(i)
	s.now = s.now.Add(step)
	return i
}

// A judge that sees nothing would pass everything, so each fault that it is there
// for is shown to it.
func TestJudgeSeesWhatReplicasMustNotDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act  func(*scene)
		says string
	}{
		"spends a refresh token without a durable intent": {func(s *scene) {
			i := s.login("a-1")
			s.record(s.request(strict.Refresh, "a-1", i), false)
		}, "without a durable intent"},
		"presents a refresh token again that it has an answer for": {func(s *scene) {
			i := s.login("a-1")
			s.refreshed("a-1", i)
			s.takeOver()
			s.request(strict.Reuse, "b-1", i)
		}, "superseded"},
		"presents it again although nothing happened": {func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			s.request(strict.Refresh, "a-1", i)
			s.now = s.now.Add(step)
			s.request(strict.Reuse, "a-1", i)
		}, "nobody kept the answer"},
		"logs in for a live token when it takes over": {func(s *scene) {
			s.login("a-1")
			s.takeOver()
			s.login("b-1")
		}, "family was alive"},
		"refreshes a fresh token when it takes over": {func(s *scene) {
			i := s.refreshed("a-1", s.login("a-1"))
			s.now = s.now.Add(-step)
			s.takeOver()
			s.refreshed("b-1", i)
		}, "before it was due"},
		"goes on from an old family": {func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			s.takeOver()
			s.login("b-1")
			s.refreshed("b-1", i)
		}, "not the newest"},
		"spends when it wakes without its Lease": {func(s *scene) {
			i := s.login("a-1")
			s.takeOver()
			s.record(i, true)
			s.request(strict.Refresh, "a-1", i)
		}, "without its Lease"},
		"logs in when it wakes long after": {func(s *scene) {
			i := s.login("a-1")
			s.takeOver()
			s.now = s.now.Add(step)
			s.request(strict.Login, "a-1", i)
		}, "without its Lease"},
		"writes a sink when it wakes without its Lease": {func(s *scene) {
			s.login("a-1")
			s.takeOver()
			s.patch("a")
		}, "without the Lease"},
		"puts an earlier record back": {func(s *scene) {
			i := s.login("a-1")
			s.refreshed("a-1", i)
			s.record(i, false)
		}, "the record went back"},
		"puts an earlier generation back": {func(s *scene) {
			i := s.login("a-1")
			s.refreshed("a-1", i)
			s.gen = 0
			s.sink(i)
		}, "the sink went back"},
		"publishes before it persists": {func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			next := s.request(strict.Refresh, "a-1", i)
			s.sink(next)
			s.record(next, false)
		}, "before the record did"},
		"leaves a token dead": {func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			s.record(s.request(strict.Refresh, "a-1", i), false)
			s.now = s.now.Add(2 * time.Hour)
		}, "was dead for"},
		"sends what was never issued": {func(s *scene) {
			s.journal = append(s.journal, strict.Entry{Kind: strict.Unknown})
		}, "no replica may send"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			c.act(s)
			s.ended = s.now
			s.run(time.Hour)
			if len(s.faults) == 0 || !strings.Contains(strings.Join(s.faults, "\n"), c.says) {
				t.Errorf("faults: %q", s.faults)
			}
		})
	}
}

func TestJudgeAllowsWhatNobodyCanPrevent(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(*scene){
		"all is well": func(s *scene) {
			i := s.refreshed("a-1", s.login("a-1"))
			s.patch("a")
			s.takeOver()
			s.refreshed("b-1", i)
			s.patch("b")
		},
		"an answer is lost with its process": func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			s.request(strict.Refresh, "a-1", i)
			s.takeOver()
			s.refreshed("b-1", s.login("b-1"))
		},
		"an intent is left behind": func(s *scene) {
			s.record(s.login("a-1"), true)
			s.takeOver()
			s.login("b-1")
		},
		"a login is lost": func(s *scene) {
			s.request(strict.Login, "a-1", nil)
			s.takeOver()
			s.login("b-1")
		},
		"a superseded refresh token is presented by somebody who cannot know": func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			s.request(strict.Refresh, "a-1", i)
			s.takeOver()
			s.record(i, true)
			s.request(strict.Reuse, "b-1", i)
			s.login("b-1")
		},
		"a request was under way when its sender was stopped": func(s *scene) {
			i := s.login("a-1")
			s.record(i, true)
			s.takeOver()
			s.login("b-1")
			s.now = s.now.Add(-step)
			s.request(strict.Refresh, "a-1", i)
		},
		"a write was under way when its sender was stopped": func(s *scene) {
			s.login("a-1")
			s.now = s.now.Add(-step + time.Second)
			s.takeOver()
			s.patch("a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			act(s)
			s.ended = s.now
			s.run(time.Hour)
			for _, fault := range s.faults {
				t.Error(fault)
			}
		})
	}
}
