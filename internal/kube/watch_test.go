package kube_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

func TestSecretsSeesChanges(t *testing.T) {
	t.Parallel()
	p := newPlace(t, cluster, rule("list", "watch"))
	before := p.create(t, "a", map[string]string{"k": "v"})
	secrets := p.client.Secrets(p.namespace)
	if _, current := secrets.Get("a"); current {
		t.Error("a watch that nobody subscribed to is current")
	}
	changed, notice := notices()
	stop := secrets.Subscribe("a", notice)
	defer stop()
	secrets.Wait(t.Context())
	seen, current := secrets.Get("a")
	if !current || seen.ResourceVersion != before.ResourceVersion || !seen.Holds([]kube.Digest{kube.Field(kube.Data, "k", []byte("v"))}) {
		t.Fatalf("after the list Get is %+v, %t", seen, current)
	}
	if seen.Holds([]kube.Digest{kube.Field(kube.Data, "k", []byte("other"))}) {
		t.Error("it holds what it does not hold")
	}
	after := p.update(t, before, "k", "edited")
	await(t, changed, "the edit", func() bool {
		seen, _ := secrets.Get("a")
		return seen.ResourceVersion == after.ResourceVersion && seen.Holds([]kube.Digest{kube.Field(kube.Data, "k", []byte("edited"))})
	})
	must(t, p.admin.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	await(t, changed, "the deletion", func() bool {
		gone, current := secrets.Get("a")
		return !gone.Exists() && current && gone.NewerThan(seen)
	})
}

func TestLabelTakenAwayLooksDeleted(t *testing.T) {
	t.Parallel()
	p := newPlace(t, cluster, rule("list", "watch"))
	s := p.create(t, "a", map[string]string{"k": "v"})
	changed, notice := notices()
	secrets := p.client.Secrets(p.namespace)
	defer secrets.Subscribe("a", notice)()
	await(t, changed, "the list", func() bool { seen, _ := secrets.Get("a"); return seen.Exists() })
	s.Labels = nil
	s = p.update(t, s, "k", "v")
	await(t, changed, "the label gone", func() bool {
		seen, _ := secrets.Get("a")
		return !seen.Exists() && seen.ResourceVersion == s.ResourceVersion
	})
}

func TestOneWatchForAllSubscribersUntilTheLastLeaves(t *testing.T) {
	t.Parallel()
	p := newPlace(t, cluster, rule("list", "watch"))
	p.create(t, "a", nil)
	for range 2 { // it starts anew after it has ended
		var stops []func()
		for n := range 20 {
			stops = append(stops, p.client.Secrets(p.namespace).Subscribe(fmt.Sprint("a", n), func() {}))
		}
		p.client.Secrets(p.namespace).Wait(t.Context())
		if _, current := p.client.Secrets(p.namespace).Get("a"); !current {
			t.Error("the watch is not current")
		}
		for _, stop := range stops {
			stop()
			stop()
		}
		if _, current := p.client.Secrets(p.namespace).Get("a"); current {
			t.Error("the watch runs on after the last subscriber has left")
		}
	}
	if got := cluster.Count(t, testbed.UserName(p.namespace, "tokend")); got["watch secrets"] != 2 || len(got) != 1 {
		t.Errorf("the requests were %v, want two watches", got)
	}
}

// The records of a state that lies in the same namespace change twice a refresh.
func TestRecordsOfAStateAreNotWatched(t *testing.T) {
	t.Parallel()
	p := newPlace(t, cluster, rule("list", "watch"))
	record := p.create(t, "record", nil)
	record.Labels["tokend/state"] = "tokend-state"
	p.update(t, record, "k", "v")
	p.create(t, "delivered", nil)
	secrets := p.client.Secrets(p.namespace)
	defer secrets.Subscribe("record", func() {})()
	secrets.Wait(t.Context())
	if seen, current := secrets.Get("delivered"); !current || !seen.Exists() {
		t.Fatal("a delivered Secret was not seen")
	}
	if seen, _ := secrets.Get("record"); seen.Exists() {
		t.Error("a record was seen")
	}
}

// Contents are not kept: a namespace full of tokens costs some hundred bytes each.
func TestMemoryOfWatchedSecretsIsBounded(t *testing.T) {
	p := newPlace(t, cluster, rule("list", "watch"))
	const count, size = 40, 256 << 10
	for n := range count {
		p.create(t, fmt.Sprint("big-", n), map[string]string{"k": strings.Repeat("x", size)})
	}
	before := heap()
	secrets := p.client.Secrets(p.namespace)
	defer secrets.Subscribe("big-0", func() {})()
	secrets.Wait(t.Context())
	if seen, current := secrets.Get("big-0"); !current || !seen.Exists() {
		t.Fatal("the Secrets were not seen")
	}
	if grown := heap() - before; grown > count*size/4 {
		t.Errorf("%d Secrets of %d bytes take %d bytes", count, size, grown)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestForbiddenWatchNamesTheVerbAndComesBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t, cluster)
	p.create(t, "a", nil)
	changed, notice := notices()
	secrets := p.client.Secrets(p.namespace)
	defer secrets.Subscribe("a", notice)()
	secrets.Wait(t.Context())
	err := secrets.Err()
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `secrets"], verbs: ["`) {
		t.Errorf("Err is %v", err)
	}
	if _, current := secrets.Get("a"); current {
		t.Error("a watch that is forbidden is current")
	}
	cluster.Grant(t, p.namespace, p.namespace, "tokend", rule("list", "watch"))
	await(t, changed, "the watch is permitted", func() bool { seen, current := secrets.Get("a"); return current && seen.Exists() })
	if err := secrets.Err(); err != nil {
		t.Errorf("Err is %v although the watch runs", err)
	}
}

// A server that cannot answer is asked a few times, not in a loop, and the log
// says it once.
func TestNoHotLoopWhileTheAPIServerFails(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"403": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"hangs up":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"ends":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/json") },
		"starts":    nil, // connections are refused
		"HTML page": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>maintenance</html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				answer(w, r)
			}))
			defer server.Close()
			if answer == nil {
				server.Close()
			}
			var log journal
			c, err := kube.NewFromConfig(&rest.Config{Host: server.URL}, "shop", kube.Options{QPS: -1, Logger: log.logger(slog.LevelInfo)})
			must(t, err)
			secrets := c.Secrets("shop")
			stop := secrets.Subscribe("a", func() {})
			secrets.Wait(t.Context())
			time.Sleep(2 * time.Second)
			stop()
			closing := time.Now()
			c.Close()
			if took := time.Since(closing); took > time.Second {
				t.Errorf("Close took %s", took)
			}
			if n := requests.Load(); n > 12 {
				t.Errorf("%d requests were made within two seconds", n)
			}
			if n := strings.Count(log.String(), "\n"); n > 1 {
				t.Errorf("the log has %d lines:\n%s", n, log.String())
			}
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	c, err := kube.NewFromConfig(&rest.Config{Host: server.URL}, "shop", kube.Options{})
	must(t, err)
	defer c.Close()
	secrets := c.Secrets("shop")
	secrets.Wait(t.Context()) // nobody has subscribed
	defer secrets.Subscribe("a", func() {})()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	secrets.Wait(ctx)
	if ctx.Err() == nil {
		t.Error("Wait returned before the server answered")
	}
}

func TestSubscriptionAfterCloseDoesNothing(t *testing.T) {
	t.Parallel()
	c, err := kube.NewFromConfig(&rest.Config{Host: "http://127.0.0.1:1"}, "shop", kube.Options{})
	must(t, err)
	c.Close()
	stop := c.Secrets("shop").Subscribe("a", func() { t.Error("called") })
	stop()
	c.Close()
}

func TestSecretKeyAndItsWatch(t *testing.T) {
	t.Parallel()
	// A Role may name the one Secret that a configuration reads.
	p := newPlace(t, cluster, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"source"}, Verbs: []string{"get", "list", "watch"},
	})
	s := p.create(t, "source", map[string]string{"password": "p1"})
	s.Labels = nil
	s = p.update(t, s, "password", "p1")
	changed, notice := notices()
	defer p.client.WatchSecret("", "source", notice)()
	read := func() string {
		value, err := p.client.SecretKey(t.Context(), "", "source", "password")
		must(t, err)
		return value.Reveal()
	}
	await(t, changed, "the first value", func() bool { return read() == "p1" })
	<-changed // the watch has started
	p.update(t, s, "password", "p2")
	await(t, changed, "the second value", func() bool { return read() == "p2" })

	_, err := p.client.SecretKey(t.Context(), p.namespace, "source", "pasword")
	if err == nil || !strings.Contains(err.Error(), `no key "pasword", but password`) {
		t.Errorf("a key that is missing: %v", err)
	}
	if _, err := p.client.SecretKey(t.Context(), p.namespace, "other", "k"); !apierrors.IsForbidden(err) {
		t.Errorf("a Secret that is not permitted: %v", err)
	}
}
