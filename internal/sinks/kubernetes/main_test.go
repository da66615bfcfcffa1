package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	"github.com/tokend-project/tokend/internal/token"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) { os.Exit(testbed.Main(m, &cluster)) }

// place is one Secret, what may be done with it as tokend, and the means to look
// at it and change it as somebody else.
type place struct {
	*testing.T

	bed       *testbed.Cluster
	namespace string
	account   *rest.Config
	secrets   typedv1.SecretInterface // an administrator's
}

var allVerbs = []string{"get", "list", "watch", "create", "patch", "delete"}

func secretsRule(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}
}

func newPlace(t *testing.T) *place { return placeIn(t, cluster, allVerbs...) }

func placeIn(t *testing.T, bed *testbed.Cluster, verbs ...string) *place {
	namespace := bed.Namespace(t)
	return &place{
		T: t, bed: bed, namespace: namespace,
		account: bed.ServiceAccount(t, namespace, "tokend", secretsRule(verbs...)),
		secrets: bed.Client(t).CoreV1().Secrets(namespace),
	}
}

func (p *place) client() *kube.Client { return p.clientOf(p.account) }

func (p *place) clientOf(config *rest.Config) *kube.Client {
	p.Helper()
	c, err := kube.NewFromConfig(config, p.namespace, kube.Options{QPS: -1, Logger: slog.New(slog.DiscardHandler)})
	p.must(err)
	p.Cleanup(c.Close)
	return c
}

const name = "rator"

func (p *place) sink(change ...func(*sink.Options)) *sink.Sink {
	p.Helper()
	o := sink.Options{Client: p.client(), Name: name, Token: "operator", Data: map[string]sinks.Format{"token": p.format("token")}}
	for _, c := range change {
		c(&o)
	}
	s, err := sink.New(o)
	p.must(err)
	return s
}

func (p *place) format(format string) sinks.Format {
	p.Helper()
	f, err := sinks.NewFormat(format, sinks.FormatOptions{})
	p.must(err)
	return f
}

func (p *place) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// counts counts the requests that tokend has made in the namespace.
func (p *place) counts() map[string]int {
	p.Helper()
	requests, err := p.bed.Requests(context.Background())
	p.must(err)
	return requests.Of(testbed.UserName(p.namespace, "tokend")).Counts()
}

// get returns the Secret, or nil.
func (p *place) get() *corev1.Secret {
	p.Helper()
	s, err := p.secrets.Get(context.Background(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	p.must(err)
	return s
}

// create makes the Secret as somebody else.
func (p *place) create(data map[string]string) {
	p.Helper()
	_, err := p.secrets.Create(context.Background(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
	p.must(err)
}

// merge changes the Secret the way kubectl edit does.
func (p *place) merge(patch map[string]any) {
	p.Helper()
	body, err := json.Marshal(patch)
	p.must(err)
	_, err = p.secrets.Patch(context.Background(), name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "kubectl-edit"})
	p.must(err)
}

func (p *place) edit(key, value string) {
	p.Helper()
	p.merge(map[string]any{"data": map[string][]byte{key: []byte(value)}})
}

func (p *place) delete() {
	p.Helper()
	p.must(p.secrets.Delete(context.Background(), name, metav1.DeleteOptions{}))
}

func (p *place) write(s *sink.Sink, generation uint64, want bool) {
	p.Helper()
	changed, err := s.Write(p.Context(), sinktest.Token(generation))
	p.must(err)
	if changed != want {
		p.Fatalf("Write of generation %d: changed = %v, want %v", generation, changed, want)
	}
}

// holds fails unless the Secret holds the generation.
func (p *place) holds(generation uint64) *corev1.Secret {
	p.Helper()
	found := p.get()
	if found == nil {
		p.Fatalf("there is no Secret, want generation %d", generation)
	}
	if got, want := string(found.Data["token"]), sinktest.Token(generation).AccessToken.Reveal(); got != want {
		p.Fatalf("the Secret holds %d other bytes than generation %d", len(got), generation)
	}
	return found
}

// follow watches, and returns a function that waits for the next drift: what the
// watch has not reported yet no Write can know.
func (p *place) follow(s *sink.Sink) (drifted func()) {
	p.Helper()
	notices := make(chan struct{}, 1)
	stop, err := s.Watch(func() {
		select {
		case notices <- struct{}{}:
		default:
		}
	})
	p.must(err)
	p.Cleanup(stop)
	return func() {
		p.Helper()
		select {
		case <-notices:
		case <-time.After(sinktest.Patience):
			p.Fatal("no drift was reported")
		}
	}
}

// awaitSeen returns when the sink's watch has seen the Secret as it is now.
func (p *place) awaitSeen(s *sink.Sink) {
	p.Helper()
	version := p.get().ResourceVersion
	for deadline := time.Now().Add(sinktest.Patience); s.SeenVersion() != version; {
		if time.Now().After(deadline) {
			p.Fatalf("the watch has not seen version %s", version)
		}
		time.Sleep(time.Millisecond)
	}
}

// says fails unless the error holds the words and no token.
func (p *place) says(err error, words ...string) {
	p.Helper()
	if err == nil {
		p.Fatalf("there was no error, want one about %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			p.Errorf("the error %q does not say %q", err, w)
		}
	}
	if text := fmt.Sprintf("%+v", err); strings.Contains(text, "canary") || strings.Contains(text, "Y2FuYXJ5") {
		p.Errorf("the error holds the token: %.300s", text)
	}
}

// constant renders the same whatever the token.
type constant []byte

func (c constant) Render(token.Token) ([]byte, error) { return c, nil }
