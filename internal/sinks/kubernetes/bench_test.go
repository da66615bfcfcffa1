package kubernetes_test

import (
	"fmt"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applyv1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

const (
	benchSecrets = 1000
	benchWriters = 64
)

// BenchmarkRefresh gives 1,000 Secrets a new generation with 64 writers: with this
// sink, watched, and with the loop that one would write with client-go alone.
func BenchmarkRefresh(b *testing.B) {
	for _, way := range []struct {
		name string
		make func(b *testing.B, namespace string) func(n int, generation uint64)
	}{{"loop", bareLoop}, {"sink", watchedSinks}} {
		b.Run(way.name, func(b *testing.B) {
			write := way.make(b, cluster.Namespace(b))
			generation := uint64(1)
			refresh := func() {
				var wg sync.WaitGroup
				for first := range benchWriters {
					wg.Go(func() {
						for n := first; n < benchSecrets; n += benchWriters {
							write(n, generation)
						}
					})
				}
				wg.Wait()
				generation++
			}
			refresh()
			for b.Loop() {
				refresh()
			}
			b.ReportMetric(benchSecrets*float64(b.N)/b.Elapsed().Seconds(), "secrets/s")
		})
	}
}

func bareLoop(b *testing.B, namespace string) func(int, uint64) {
	config := rest.CopyConfig(cluster.Admin())
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return func(n int, generation uint64) {
		t := sinktest.Token(generation)
		s := applyv1.Secret(fmt.Sprint("loop-", n), namespace).
			WithLabels(map[string]string{kube.ManagedByLabel: kube.ManagedBy}).
			WithAnnotations(map[string]string{"tokend/generation": fmt.Sprint(generation), "tokend/expires-at": t.ExpiresAt.String()}).
			WithType("Opaque").
			WithData(map[string][]byte{"token": []byte(t.AccessToken.Reveal())})
		if _, err := client.CoreV1().Secrets(namespace).Apply(b.Context(), s, metav1.ApplyOptions{FieldManager: "loop", Force: true}); err != nil {
			b.Error(err)
		}
	}
}

func watchedSinks(b *testing.B, namespace string) func(int, uint64) {
	client, err := kube.NewFromConfig(cluster.Admin(), namespace, kube.Options{QPS: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	format, err := sinks.NewFormat("token", sinks.FormatOptions{})
	if err != nil {
		b.Fatal(err)
	}
	all := make([]*sink.Sink, benchSecrets)
	for n := range all {
		all[n], err = sink.New(sink.Options{
			Client: client, Name: fmt.Sprint("sink-", n), Token: fmt.Sprint("t", n), Data: map[string]sinks.Format{"token": format},
		})
		if err != nil {
			b.Fatal(err)
		}
		stop, err := all[n].Watch(func() {})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(stop)
	}
	return func(n int, generation uint64) {
		if changed, err := all[n].Write(b.Context(), sinktest.Token(generation)); err != nil || !changed {
			b.Errorf("Write = %v, %v", changed, err)
		}
	}
}
