package kubernetes

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	// The first client redirects klog, which the test bed's own clients use too.
	if _, err := kube.NewFromConfig(&rest.Config{Host: "https://127.0.0.1"}, "", kube.Options{}); err != nil {
		panic(err)
	}
	os.Exit(testbed.Main(m, &cluster))
}

var testKey = token.NewSecret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, key := range []token.Secret{{}, testKey} {
		t.Run(fmt.Sprintf("sealed=%t", !key.IsEmpty()), func(t *testing.T) {
			t.Parallel()
			statetest.Run(t, func(t *testing.T) statetest.Backend {
				t.Parallel()
				p := newPlace(t)
				p.o.Key = key
				return statetest.Backend{
					Open:   func(t *testing.T) state.Store { return p.open(t) },
					Damage: func(t *testing.T, name string) { p.damage(t, name) },
				}
			})
		})
	}
}

// place is a namespace with a state in it.
type place struct {
	o     Options
	admin kubernetes.Interface
}

func newPlace(t *testing.T) *place {
	t.Helper()
	namespace := cluster.Namespace(t)
	return &place{admin: cluster.Client(t), o: Options{
		Client: newClient(t, cluster.Admin(), namespace), Namespace: namespace, Prefix: "state", Key: testKey,
	}}
}

func newClient(t *testing.T, config *rest.Config, namespace string) *kube.Client {
	t.Helper()
	c, err := kube.NewFromConfig(config, namespace, kube.Options{QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (p *place) open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), p.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (p *place) get(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	o, err := p.admin.CoreV1().Secrets(p.o.Namespace).Get(t.Context(), secretName("state", name), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (p *place) patch(t *testing.T, name, format string, args ...any) {
	t.Helper()
	_, err := p.admin.CoreV1().Secrets(p.o.Namespace).Patch(t.Context(), secretName("state", name), types.MergePatchType,
		fmt.Appendf(nil, format, args...), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// damage alters the last byte of a stored record.
func (p *place) damage(t *testing.T, name string) {
	t.Helper()
	b := p.get(t, name).Data[recordKey]
	b[len(b)-1] ^= 1
	p.patch(t, name, `{"data":{"record":%q}}`, base64.StdEncoding.EncodeToString(b))
}

func (p *place) secrets(t *testing.T, selector string) []corev1.Secret {
	t.Helper()
	list, err := p.admin.CoreV1().Secrets(p.o.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func generationOf(g uint64) token.Record {
	r := statetest.Full()
	r.Generation = g
	return r
}

func mustSave(t *testing.T, s *Store, name string, generation uint64) {
	t.Helper()
	if err := s.Save(t.Context(), name, generationOf(generation)); err != nil {
		t.Fatal(err)
	}
}

// wantGeneration fails the test unless name's record is of generation want; 0 is
// for no record.
func wantGeneration(t *testing.T, s *Store, name string, want uint64) {
	t.Helper()
	r, err := s.Load(t.Context(), name)
	if want == 0 && errors.Is(err, token.ErrNoRecord) {
		return
	}
	if err != nil || r.Generation != want {
		t.Errorf("%s has generation %d (%v), want %d", name, r.Generation, err, want)
	}
}

func wantFenced(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, token.ErrFenced) {
		t.Errorf("got %v, want an error that wraps ErrFenced", err)
	}
}

func TestOldOwnerIsFencedByTheNewOnesFirstWrite(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old, fresh := p.open(t), p.open(t)
	mustSave(t, old, "one", 1)
	wantGeneration(t, fresh, "one", 1)
	mustSave(t, fresh, "one", 2)
	was := p.get(t, "one")
	for range 3 { // and it stays so
		wantFenced(t, old.Save(t.Context(), "one", generationOf(99)))
		wantFenced(t, old.Delete(t.Context(), "one"))
	}
	if now := p.get(t, "one"); now.ResourceVersion != was.ResourceVersion {
		t.Error("a fenced Save wrote something")
	}
	// It may take the record back, by loading it.
	wantGeneration(t, old, "one", 2)
	mustSave(t, old, "one", 3)
	wantFenced(t, fresh.Save(t.Context(), "one", generationOf(4)))
}

// TestLateOldOwnerFencesTheNewOneThatHasOnlyLoaded: whoever saves the intent
// first spends the refresh token; the other one has to look again.
func TestLateOldOwnerFencesTheNewOneThatHasOnlyLoaded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old, fresh := p.open(t), p.open(t)
	mustSave(t, old, "one", 1)
	wantGeneration(t, fresh, "one", 1)
	mustSave(t, old, "one", 2)
	wantFenced(t, fresh.Save(t.Context(), "one", generationOf(3)))
	wantGeneration(t, fresh, "one", 2)
	mustSave(t, fresh, "one", 3)
}

// TestOneOfManyOwnersSpends is the fence of the rotation protocol: all have
// loaded the same refresh token, and one may present it.
func TestOneOfManyOwnersSpends(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mustSave(t, p.open(t), "one", 1)
	const owners, rounds = 4, 5
	stores := make([]*Store, owners)
	for i := range stores {
		stores[i] = p.open(t)
	}
	for round := range uint64(rounds) {
		var all sync.WaitGroup
		errs := make([]error, owners)
		for _, s := range stores {
			wantGeneration(t, s, "one", round+1)
		}
		for i, s := range stores {
			all.Go(func() { errs[i] = s.Save(t.Context(), "one", generationOf(round+2)) })
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				wantFenced(t, err)
			}
		}
		if won != 1 {
			t.Fatalf("%d of %d owners saved on top of one generation", won, owners)
		}
	}
}

func TestTwoOwnersOfARecordThatIsNew(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	old, fresh := p.open(t), p.open(t)
	wantGeneration(t, old, "one", 0)
	wantGeneration(t, fresh, "one", 0)
	mustSave(t, fresh, "one", 1)
	wantFenced(t, old.Save(t.Context(), "one", generationOf(1)))
}

func TestRecordThatSomebodyDeletedIsAFence(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	err := p.admin.CoreV1().Secrets(p.o.Namespace).Delete(t.Context(), "state.one", metav1.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantFenced(t, s.Save(t.Context(), "one", generationOf(2)))
	wantGeneration(t, s, "one", 0)
	mustSave(t, s, "one", 1)
}

// TestLabelIsNoFence: to lose an answer, and with it a refresh token, because
// somebody labelled the Secret between the intent and the commit would be absurd.
func TestLabelIsNoFence(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.patch(t, "one", `{"metadata":{"labels":{"backup":"no"},"annotations":{"team":"shop"}}}`)
	mustSave(t, s, "one", 2)
	mustSave(t, s, "one", 3)
	o := p.get(t, "one")
	if o.Labels["backup"] != "no" || o.Annotations["team"] != "shop" {
		t.Errorf("foreign labels and annotations are gone: %v, %v", o.Labels, o.Annotations)
	}
	wantGeneration(t, s, "one", 3)
	p.patch(t, "one", `{"metadata":{"labels":{"backup":"yes"}}}`)
	if err := s.Delete(t.Context(), "one"); err != nil {
		t.Error(err)
	}
}

func TestEditedDataAreAFence(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.damage(t, "one")
	wantFenced(t, s.Save(t.Context(), "one", generationOf(2)))
}

func TestNamesOfSecrets(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"operator": "state.operator",
		"a-b":      "state.a-b",
		"a--b":     "state.a--b",
		"a.b":      "state.x.a-db",
		"a-db":     "state.a-db",
		"a_b.c-":   "state.x.a-ub-dc-h",
		"x.a":      "state.x.x-da",
		"x":        "state.x",
	} {
		if got := secretName("state", name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for _, prefix := range []string{"", "a.b", "A", "a-", strings.Repeat("p", 64)} {
		_, err := Open(t.Context(), Options{Prefix: prefix})
		if err == nil || !strings.Contains(err.Error(), "prefix") {
			t.Errorf("the prefix %q: %v", prefix, err)
		}
	}
}

func TestClearNameIsToBeSeenAndTheRecordIsNot(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mustSave(t, p.open(t), "a.b", 1)
	o := p.get(t, "a.b")
	if o.Annotations[tokenAnnotation] != "a.b" || o.Labels[kube.ManagedByLabel] != kube.ManagedBy || o.Labels[stateLabel] != "state" || o.Type != recordType {
		t.Errorf("annotations %v, labels %v, type %s", o.Annotations, o.Labels, o.Type)
	}
	if strings.Contains(string(o.Data[recordKey]), statetest.Full().RefreshToken.Reveal()) {
		t.Error("a sealed record shows its refresh token")
	}
}

func TestTwoStatesInOneNamespace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other := p.o
	other.Prefix = "state-x"
	a, b := p.open(t), (&place{o: other}).open(t)
	mustSave(t, a, "one", 1)
	mustSave(t, b, "one", 2)
	names := make([]string, fewNames+1)
	for i := range names {
		names[i] = fmt.Sprintf("t%d", i)
	}
	names[0] = "one"
	if err := a.Prefetch(t.Context(), names); err != nil {
		t.Fatal(err)
	}
	wantGeneration(t, a, "one", 1)
	wantGeneration(t, b, "one", 2)
}

func TestForeignSecretIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, err := p.admin.CoreV1().Secrets(p.o.Namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "state.one"}, Data: map[string][]byte{recordKey: []byte("a recording")},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	was := p.get(t, "one")
	s := p.open(t)
	if err := s.Save(t.Context(), "one", generationOf(1)); err == nil || !strings.Contains(err.Error(), "no record of tokend's") {
		t.Errorf("Save: %v", err)
	}
	if _, err := s.Load(t.Context(), "one"); err == nil || errors.Is(err, token.ErrNoRecord) {
		t.Errorf("Load: %v", err)
	}
	if err := s.Delete(t.Context(), "one"); err == nil {
		t.Error("Delete took it")
	}
	if p.get(t, "one").ResourceVersion != was.ResourceVersion {
		t.Error("it was written")
	}
}
