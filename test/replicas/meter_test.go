package replicas

import (
	"context"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// prompt is how soon an API server answers that has a processor.
const prompt = 250 * time.Millisecond

// meter tells by how much the machine was too slow. Leases that last for seconds
// cannot be renewed while the API server does not answer for one, whoever else
// keeps the processors busy: what is promised within some time of a disturbance is
// promised within so much of its time.
type meter struct {
	mu     sync.Mutex
	stalls []stall
}

type stall struct {
	at   time.Time // its end
	took time.Duration
}

func startMeter(t *testing.T, client kubernetes.Interface, namespace string) *meter {
	m := &meter{}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	leases := client.CoordinationV1().Leases(namespace)
	all.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			_, _ = leases.Get(ctx, "none", metav1.GetOptions{}) // how long it takes is all
			time.Sleep(100 * time.Millisecond)
			m.note(time.Since(began) - 100*time.Millisecond)
		}
	})
	return m
}

func (m *meter) note(took time.Duration) {
	if took < prompt {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalls = append(m.stalls, stall{time.Now(), took - prompt})
}

// since is by how much the API server was late between an instant and now.
func (m *meter) since(from time.Time) time.Duration { return m.between(from, time.Now()) }

func (m *meter) between(from, to time.Time) (late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.stalls {
		began, ended := later(s.at.Add(-s.took), from), s.at
		if ended.After(to) {
			ended = to
		}
		late += max(0, ended.Sub(began))
	}
	return late
}
