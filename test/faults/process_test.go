package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// gauge counts without keeping anything, for tests of thousands of requests.
type gauge struct {
	*httptest.Server
	lifetime int
	latency  time.Duration

	requests, inFlight, peak, goroutines atomic.Int64
}

func newGauge(t *testing.T, lifetime int, latency time.Duration, b *bell) *gauge {
	t.Helper()
	g := &gauge{lifetime: lifetime, latency: latency}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		highest(&g.peak, g.inFlight.Add(1))
		defer g.inFlight.Add(-1)
		highest(&g.goroutines, int64(runtime.NumGoroutine()))
		time.Sleep(g.latency)
		n := g.requests.Add(1)
		_, _ = fmt.Fprintf(w, `{"access_token":"at-%[1]d","refresh_token":"rt-%[1]d","token_type":"Bearer","expires_in":%[2]d}`, n, g.lifetime)
		if n%100 == 0 {
			b.ring()
		}
	}))
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

func highest(at *atomic.Int64, n int64) {
	for was := at.Load(); n > was && !at.CompareAndSwap(was, n); was = at.Load() {
	}
}

const quietHouse = `
state "file" {
  path = "DIR/state"
}
control {
  socket = "DIR/run/control.sock"
}
log {
  level = "warn"
}
`

func (g *gauge) fleet(n int, schedule, sink string) string {
	return quietHouse + fmt.Sprintf(`
provider "p" {
  token_endpoint = %q
  client_id      = "client"
  client_secret  = "client-secret"
  schedule {
    %s
  }
}
dynamic "token" {
  for_each = range(%d)
  labels   = ["t-${token.key}"]
  content {
    provider = "p"
    grant "client_credentials" {}
    %s
  }
}
`, g.URL, schedule, n, sink)
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("there is no /proc: %v", err)
	}
	return len(open)
}

// What leaks a little with every refresh ends a daemon after months. Not
// parallel, since it counts what the whole process has.
func TestGoroutinesDescriptorsAndMemoryStayFlatOverThousandsOfRefreshes(t *testing.T) {
	b := newBell()
	g, d := newGauge(t, 2, 0, b), place(t, b)
	d.write(t, "tokend.hcl", g.fleet(20, `
    refresh_at   = 0.005
    jitter       = 0
    lead         = "0s"
    min_interval = "10ms"`, `sink "file" { path = "DIR/out/${token.key}" }`))
	d.build(t)
	d.run(t)
	at := func(requests int64) (goroutines, files int, heap uint64) {
		d.await(t, strconv.FormatInt(requests, 10)+" requests were made", func() bool { return g.requests.Load() >= requests })
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), descriptors(t), m.HeapAlloc
	}
	goroutines, files, heap := at(500)
	laterGoroutines, laterFiles, laterHeap := at(3500)
	t.Logf("%d to %d goroutines, %d to %d descriptors, %d to %d KiB", goroutines, laterGoroutines, files, laterFiles, heap>>10, laterHeap>>10)
	// Twenty tokens and their writers may be at another point of their road.
	const slack = 60
	if laterGoroutines > goroutines+slack || laterFiles > files+slack || laterHeap > heap+4<<20 {
		t.Errorf("after 3000 refreshes more: %d goroutines were %d, %d descriptors were %d, %d bytes of heap were %d",
			laterGoroutines, goroutines, laterFiles, files, laterHeap, heap)
	}
}

func TestTenThousandTokensDueAtOnceKeepToTheLimits(t *testing.T) {
	b := newBell()
	g, d := newGauge(t, 3600, 10*time.Millisecond, b), place(t, b)
	d.write(t, "tokend.hcl", g.fleet(10_000, "", ""))
	d.build(t)
	idle := int64(runtime.NumGoroutine())
	d.run(t)
	d.await(t, "all have been asked for", func() bool { return g.requests.Load() >= 10_000 })
	d.await(t, "all are fresh", func() bool {
		for _, s := range d.app.Status().Tokens {
			if s.State != "fresh" {
				return false
			}
		}
		return true
	})
	peak := g.goroutines.Load() - idle
	t.Logf("%d requests in flight, %d goroutines", g.peak.Load(), peak)
	if n := g.requests.Load(); n != 10_000 {
		t.Errorf("%d requests for 10000 tokens", n)
	}
	if n := g.peak.Load(); n < 16 || n > 64 {
		t.Errorf("%d requests in flight; 64 are allowed", n)
	}
	// Each request in flight has some, at both ends; an idle token has none.
	if peak > 64*8 {
		t.Errorf("%d goroutines for 64 requests in flight", peak)
	}
	if left := int64(runtime.NumGoroutine()) - idle; left > 64*8 {
		t.Errorf("%d goroutines for tokens that have nothing to do", left)
	}
}
