package manifests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/ha"
	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
	kubesink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	kubestate "github.com/tokend-project/tokend/internal/state/kubernetes"
	"github.com/tokend-project/tokend/internal/token"
)

// parts are the parts of tokend that speak to the API server, as the ServiceAccount
// of the manifests.
type parts struct {
	client *kube.Client
	places places
	said   *logged
}

// use has every part do what it ever does, and returns what failed, in words.
func use(t *testing.T, p places) string {
	t.Helper()
	said := &logged{}
	logger := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	client, err := kube.NewFromConfig(cluster.TokenOf(t, p.tokend, "tokend"), p.tokend, kube.Options{Logger: logger})
	must(t, err)
	defer client.Close()
	u := &parts{client, p, said}
	var working sync.WaitGroup
	faults := make([]error, 3)
	working.Go(func() { faults[0] = u.keepState(t.Context()) })
	working.Go(func() { faults[1] = u.writeSecret(t.Context()) })
	working.Go(func() { faults[2] = u.holdLease(t, logger) })
	working.Wait()
	if err := errors.Join(faults...); err != nil {
		return err.Error() + said.String()
	}
	return said.String()
}

func (u *parts) keepState(ctx context.Context) error {
	store, err := kubestate.Open(ctx, kubestate.Options{
		Client: u.client, Prefix: "tokend-state", Key: token.NewSecret(strings.Repeat("k", 44)),
	})
	if err != nil {
		return err
	}
	var faults []error
	for generation := range uint64(2) {
		_, err := store.Load(ctx, "example")
		if !errors.Is(err, token.ErrNoRecord) {
			faults = append(faults, err)
		}
		faults = append(faults, store.Save(ctx, "example", token.Record{Token: token.Token{Generation: generation + 1}}))
	}
	return errors.Join(append(faults, store.Prefetch(ctx, []string{"example"}), store.Delete(ctx, "example"), store.Close())...)
}

func (u *parts) writeSecret(ctx context.Context) error {
	format, err := sinks.NewFormat("token", sinks.FormatOptions{})
	if err != nil {
		return err
	}
	sink, err := kubesink.New(kubesink.Options{
		Client: u.client, Namespace: u.places.shop, Name: "example-token", Token: "example",
		Data: map[string]sinks.Format{"token": format},
	})
	if err != nil {
		return err
	}
	stop, err := sink.Watch(func() {})
	if err != nil {
		return err
	}
	defer stop()
	if err := sink.Check(ctx); err != nil {
		return err
	}
	for generation := range uint64(2) {
		now := time.Now()
		_, err := sink.Write(ctx, token.Token{
			Generation: generation + 1, AccessToken: token.NewSecret(fmt.Sprint("t", generation)), TokenType: "Bearer",
			IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// holdLease takes a Lease that somebody has made by hand, renews it and gives it
// back.
func (u *parts) holdLease(t *testing.T, logger *slog.Logger) error {
	leases := cluster.Client(t).CoordinationV1().Leases(u.places.tokend)
	made := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "tokend"}}
	if _, err := leases.Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		return err
	}
	group, err := ha.New(ha.Options{
		Client: u.client.Coordination(), Namespace: u.places.tokend, Name: "tokend", Identity: "test", Shards: 1,
		LeaseDuration: 2 * time.Second, RenewEvery: 200 * time.Millisecond, Logger: logger,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- group.Run(ctx) }()
	for ctx.Err() == nil && u.said.String() == "" {
		lease, err := leases.Get(ctx, "tokend", metav1.GetOptions{})
		if err == nil && group.Holds(0) && renewed(lease.Spec) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	return <-ended
}

func renewed(l coordinationv1.LeaseSpec) bool {
	return l.AcquireTime != nil && l.RenewTime != nil && l.RenewTime.After(l.AcquireTime.Time)
}

func TestPartsNeedNoMoreThanTheRoles(t *testing.T) {
	t.Parallel()
	all, p := elsewhere(t)
	apply(t, all)
	awaitRoles(t, all, p)
	if said := use(t, p); said != "" {
		t.Error(said)
	}
}

func TestPartsNeedNoLessThanTheRolesAndNameTheVerbThatIsMissing(t *testing.T) {
	t.Parallel()
	all, p := elsewhere(t)
	for _, gone := range allRights(t, all, p.tokend, p.shop) {
		if gone == (right{"tokend-sink", "secrets", "list"}) {
			continue // for API servers that can't stream what is there; this one can
		}
		t.Run(gone.String(), func(t *testing.T) {
			t.Parallel()
			all, p := elsewhere(t)
			without(t, all, gone)
			apply(t, all)
			awaitRoles(t, all, p)
			said := strings.ReplaceAll(use(t, p), `\`, "")
			if !strings.Contains(said, fmt.Sprintf(`resources: [%q], verbs: [%q]`, gone.resource, gone.verb)) {
				t.Errorf("the verb is not named: %s", said)
			}
		})
	}
}

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(content []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(content)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
