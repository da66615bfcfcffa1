package ha

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/kube"
)

const processShards = 4

// replicaMain is a replica in a process of its own. It looks every millisecond
// what it holds, and prints from when to when: "shard from to" in nanoseconds.
func replicaMain() int {
	namespace := os.Getenv("HA_NAMESPACE")
	client, err := kube.New(kube.Options{Kubeconfig: os.Getenv("HA_KUBECONFIG")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	g, err := New(Options{
		Client: client.Coordination(), Namespace: namespace, Name: "tokend", Identity: os.Getenv("HA_REPLICA"), Shards: processShards,
		LeaseDuration: leaseDuration, RenewEvery: renewEvery,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("replica", os.Getenv("HA_REPLICA")),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	ticker := time.NewTicker(time.Millisecond)
	for {
		select {
		case err := <-done:
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			return 0
		case <-ticker.C:
			sample(os.Stdout, g)
		}
	}
}

// sample prints each shard with the instants between which it was held for
// certain: a process that is stopped in here must not stretch them.
func sample(w io.Writer, g *Group) {
	for shard := range processShards {
		from := time.Now()
		if g.Holds(shard) {
			fmt.Fprintln(w, shard, from.UnixNano())
		}
	}
}

// process is a replica as the test sees it.
type process struct {
	cmd     *exec.Cmd
	name    string
	reading sync.WaitGroup

	mu   sync.Mutex
	held [processShards][]int64 // the instants at which it held the shard
}

func startProcess(t *testing.T, namespace, kubeconfig, name string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), "HA_REPLICA="+name, "HA_NAMESPACE="+namespace, "HA_KUBECONFIG="+kubeconfig)
	p.cmd.Stderr = t.Output()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.reading.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.note(lines.Text())
		}
	})
	t.Cleanup(p.kill)
	return p
}

func (p *process) note(line string) {
	var shard int
	var at int64
	if _, err := fmt.Sscan(line, &shard, &at); err == nil {
		p.mu.Lock()
		p.held[shard] = append(p.held[shard], at)
		p.mu.Unlock()
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	p.wait()
}

func (p *process) wait() {
	p.reading.Wait()
	_ = p.cmd.Wait()
}

// holds is the number of shards that it held during the last tenth of a second.
func (p *process) holds() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, since := 0, time.Now().Add(-100*time.Millisecond).UnixNano()
	for _, instants := range p.held {
		if len(instants) > 0 && instants[len(instants)-1] > since {
			n++
		}
	}
	return n
}

func awaitSpread(t *testing.T, within time.Duration, what string, want []int, processes ...*process) {
	t.Helper()
	await(t, within, what+", held as "+fmt.Sprint(want), func() bool {
		var got []int
		for _, p := range processes {
			got = append(got, p.holds())
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

// noOverlap fails the test where one held a shard between two instants, a moment
// apart, at which another did.
func noOverlap(t *testing.T, processes ...*process) {
	t.Helper()
	const moment = int64(50 * time.Millisecond) // a Lease does not go there and back in it
	type instant struct {
		at int64
		by *process
	}
	for shard := range processShards {
		var all []instant
		for _, p := range processes {
			p.mu.Lock()
			for _, at := range p.held[shard] {
				all = append(all, instant{at, p})
			}
			p.mu.Unlock()
		}
		slices.SortFunc(all, func(a, b instant) int { return cmp.Compare(a.at, b.at) })
		turns := 0
		for i := 1; i < len(all); i++ {
			before := all[i-1]
			if all[i].by == before.by {
				continue
			}
			turns++
			for _, later := range all[i:] {
				if later.at-before.at >= moment {
					break
				}
				if later.by == before.by {
					t.Fatalf("shard %d was held by %s and %s at once", shard, before.by.name, all[i].by.name)
				}
			}
		}
		if turns < 1 || turns > 10 {
			t.Errorf("shard %d went %d times from one to another", shard, turns)
		}
	}
}

// TestKilledAndStoppedProcesses: a process that was stopped does not learn that
// its time is over, and must act as if it knew when it wakes.
func TestKilledAndStoppedProcesses(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	kubeconfig := cluster.Kubeconfig(t, cluster.Admin())
	a, b := startProcess(t, namespace, kubeconfig, "a"), startProcess(t, namespace, kubeconfig, "b")
	awaitSpread(t, soon, "started", []int{2, 2}, a, b)

	a.signal(t, syscall.SIGSTOP)
	awaitSpread(t, leaseDuration+5*time.Second, "one stopped", []int{0, 4}, a, b)
	a.signal(t, syscall.SIGCONT)
	awaitSpread(t, soon, "and woken", []int{2, 2}, a, b)

	b.kill()
	awaitSpread(t, leaseDuration+5*time.Second, "one killed", []int{0, 4}, a, b)
	c := startProcess(t, namespace, kubeconfig, "c")
	awaitSpread(t, soon, "another started", []int{2, 2}, a, c)
	a.signal(t, syscall.SIGTERM)
	a.wait()
	awaitSpread(t, leaseDuration*3/4, "one told to end", []int{4}, c)
	c.signal(t, syscall.SIGTERM)
	c.wait()
	noOverlap(t, a, b, c)
}
