package kubernetes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/sinks"
	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	"github.com/tokend-project/tokend/internal/token"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

func without(verb string) []string {
	var verbs []string
	for _, v := range allVerbs {
		if v != verb {
			verbs = append(verbs, v)
		}
	}
	return verbs
}

func TestMissingVerbIsNamed(t *testing.T) {
	t.Parallel()
	for _, verb := range without("list") { // this API server streams its lists, by watch
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			p := placeIn(t, cluster, without(verb)...)
			s := p.sink()
			rule := fmt.Sprintf(`{apiGroups: [""], resources: ["secrets"], verbs: ["%s"]}`, verb)
			who := "the ServiceAccount " + p.namespace + "/tokend may not " + verb + " secrets"
			var err error
			if verb == "delete" {
				p.write(s, 1, true)
				err = s.Remove(t.Context())
			} else {
				if verb == "watch" {
					stop, err := s.Watch(func() {})
					p.must(err)
					defer stop()
				}
				err = s.Check(t.Context())
			}
			p.says(err, who, rule)
			if !apierrors.IsForbidden(err) {
				t.Errorf("IsForbidden does not know %v", err)
			}
		})
	}
}

// A Role that grants what this sink needs and nothing else passes the check.
func TestLeastRole(t *testing.T) {
	t.Parallel()
	p := placeIn(t, cluster, without("delete")...)
	s := p.sink()
	p.follow(s)
	p.must(s.Check(t.Context()))
	p.write(s, 1, true)
	p.must(s.Check(t.Context()))
}

func TestPermissionWithdrawnAndGivenBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.sink()
	drifted := p.follow(s)
	p.write(s, 1, true)
	p.bed.Grant(t, p.namespace, p.namespace, "tokend")
	_, err := s.Write(t.Context(), sinktest.Token(2))
	p.says(err, "may not patch secrets", "verbs: [\"patch\"]")
	p.holds(1)
	p.bed.Grant(t, p.namespace, p.namespace, "tokend", secretsRule(allVerbs...))
	p.write(s, 2, true)
	p.edit("token", "edited")
	drifted()
	p.write(s, 2, true)
	p.holds(2)
}

// Where only the watch is forbidden, tokens are delivered all the same.
func TestForbiddenWatchDoesNotStopWrites(t *testing.T) {
	t.Parallel()
	p := placeIn(t, cluster, "get", "create", "patch")
	s := p.sink()
	stop, err := s.Watch(func() {})
	p.must(err)
	defer stop()
	p.write(s, 1, true)
	p.write(s, 1, false)
	p.edit("token", "edited")
	p.write(s, 1, true)
	p.write(s, 2, true)
	p.holds(2)
}

func TestMissingNamespace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	missing := p.namespace + "-later"
	p.account = p.bed.Admin() // RBAC would answer first
	s := p.sink(func(o *sink.Options) { o.Namespace = missing })
	_, err := s.Write(t.Context(), sinktest.Token(1))
	p.says(err, missing, "does not exist", "create it")
	p.says(s.Check(t.Context()), missing, "does not exist")
	p.must(s.Remove(t.Context()))
	_, err = p.bed.Client(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: missing}}, metav1.CreateOptions{})
	p.must(err)
	p.write(s, 1, true)
}

func TestMoreThanOneMiBWithForeignKeys(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.create(map[string]string{"theirs": strings.Repeat("x", 1<<20-100)})
	_, err := p.sink().Write(t.Context(), sinktest.Token(1))
	p.says(err, "422", "data", "1048576")
}

func TestDataThatTheTypeForbids(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.sink(func(o *sink.Options) {
		o.Type = string(corev1.SecretTypeDockerConfigJson)
		o.Data = map[string]sinks.Format{corev1.DockerConfigJsonKey: constant("canary, no JSON")}
	})
	_, err := s.Write(t.Context(), sinktest.Token(1))
	p.says(err, "422", ".dockerconfigjson")
	p.says(s.Check(t.Context()), "422", ".dockerconfigjson")
}

// gate holds requests back, or loses their answers.
type gate struct {
	next   http.RoundTripper
	before func(*http.Request)
	lose   atomic.Int32 // answers to PATCH that are lost
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.before != nil && r.Method == http.MethodPatch {
		g.before(r)
	}
	resp, err := g.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodPatch && g.lose.Add(-1) >= 0 {
		resp.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return resp, err
}

func (p *place) gated(g *gate) *rest.Config {
	config := rest.CopyConfig(p.account)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		g.next = next
		return g
	})
	return config
}

// A replica that is stopped between its decision and its request wakes after
// another has taken over.
func TestReplicaThatWakesLatePutsNothingBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		first   bool // the Secret exists when the late one decides
		watched bool
	}{
		{"to replace, watched", true, true},
		{"to replace", true, false},
		{"to create, watched", false, true},
		{"to create", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			asleep, wake := make(chan struct{}, 8), make(chan struct{})
			late := p.sink(func(o *sink.Options) {
				o.Client = p.clientOf(p.gated(&gate{before: func(*http.Request) { asleep <- struct{}{}; <-wake }}))
			})
			if test.watched {
				p.follow(late)
			}
			other := p.sink()
			if test.first {
				p.write(other, 1, true)
			}
			outcome := make(chan error, 1)
			go func() {
				_, err := late.Write(t.Context(), sinktest.Token(2))
				outcome <- err
			}()
			<-asleep
			p.write(other, 3, true)
			version := p.get().ResourceVersion
			close(wake)
			err := <-outcome
			p.says(err, "generation 3", "newer than generation 2")
			if !errors.Is(err, token.ErrFenced) {
				t.Errorf("the error is not token.ErrFenced: %v", err)
			}
			if got := p.holds(3).ResourceVersion; got != version {
				t.Errorf("the Secret was written to: version %s, before %s", got, version)
			}
		})
	}
}

// Where the state was lost, generations start anew with tokens that were issued
// later.
func TestGenerationsThatStartAnew(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old := sinktest.Token(57)
	_, err := p.sink().Write(t.Context(), old)
	p.must(err)
	anew := sinktest.Token(1)
	anew.IssuedAt, anew.ExpiresAt = old.IssuedAt.Add(time.Minute), old.ExpiresAt.Add(time.Minute)
	changed, err := p.sink().Write(t.Context(), anew)
	p.must(err)
	if !changed {
		t.Error("nothing was written")
	}
	p.holds(1)
}

// A clock that was set back must not hold up the next generation.
func TestNextGenerationIssuedEarlier(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(p.sink(), 57, true)
	next := sinktest.Token(58)
	next.IssuedAt = next.IssuedAt.Add(-time.Hour)
	_, err := p.sink().Write(t.Context(), next)
	p.must(err)
	p.holds(58)
}

func TestLostAnswerIsRecognisedAsOwnWrite(t *testing.T) {
	t.Parallel()
	for _, watched := range []bool{true, false} {
		p := newPlace(t)
		g := &gate{}
		s := p.sink(func(o *sink.Options) { o.Client = p.clientOf(p.gated(g)) })
		drifts := make(chan struct{}, 1)
		if watched {
			stop, err := s.Watch(func() { drifts <- struct{}{} })
			p.must(err)
			defer stop()
		}
		p.write(s, 1, true)
		g.lose.Store(1)
		_, err := s.Write(t.Context(), sinktest.Token(2))
		p.says(err, "the connection was reset")
		version := p.holds(2).ResourceVersion
		p.write(s, 2, true) // consumers have to hear of it
		p.write(s, 2, false)
		if got := p.holds(2).ResourceVersion; got != version {
			t.Errorf("it was written again: version %s, before %s", got, version)
		}
		if len(drifts) > 0 {
			t.Error("the own write was reported as drift")
		}
	}
}

// An admission rule may repeat what it was sent, and the API server passes it on.
func TestAdmissionThatRepeatsTheToken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.account = rest.CopyConfig(p.account)
	g := &gate{}
	config := p.gated(g)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return echo{next} })
	s := p.sink(func(o *sink.Options) { o.Client = p.clientOf(config) })
	_, err := s.Write(t.Context(), sinktest.Token(1))
	p.says(err, "admission rule", "[redacted]")
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		p.says(status)
	}
}

func TestOutageOfTheAPIServer(t *testing.T) {
	t.Parallel()
	bed := testbed.Own(t)
	p := placeIn(t, bed, allVerbs...)
	s := p.sink()
	drifted := p.follow(s)
	p.write(s, 1, true)

	bed.KillAPIServer()
	_, err := s.Write(t.Context(), sinktest.Token(2))
	p.says(err, "patch secrets", "reach the API server", "connection refused")
	p.must(bed.StartAPIServer(t.Context()))
	before := p.counts()
	p.write(s, 2, true)
	p.edit("token", "edited")
	started := time.Now()
	drifted()
	p.write(s, 2, true)
	p.holds(2)
	t.Logf("drift after the restart was seen within %s", time.Since(started))
	after := p.counts()
	if n := after["list secrets"] + after["watch secrets"] - before["list secrets"] - before["watch secrets"]; n > 3 {
		t.Errorf("%d requests were made to watch again", n)
	}
}

// echo answers writes the way a verbose admission webhook does.
type echo struct{ next http.RoundTripper }

func (e echo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPatch {
		return e.next.RoundTrip(r)
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var object struct{ Data map[string]string }
	if err := json.Unmarshal(sent, &object); err != nil {
		return nil, err
	}
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: fmt.Sprintf("webhook denied the request: %s", object.Data),
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: r,
	}, nil
}
