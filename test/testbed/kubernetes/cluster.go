package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/test/testbed/internal/authority"
)

// Cluster is a running etcd and kube-apiserver. Its methods may be used by many
// tests at once, apart from those that kill, start, pause and stop.
type Cluster struct {
	dir       string
	lock      *os.File
	tools     tools
	port      int
	authority *authority.Authority
	client    authority.Pair // the administrator's certificate
	etcd      *process
	apiserver *process
	audit     *audit

	mu         sync.Mutex
	namespaces map[string]string // of the ServiceAccount of each token that was issued
}

// Start builds etcd and the API server where that wasn't done yet, runs them on
// loopback and returns when the API server says that it is ready. They end at
// Stop, or with this process.
func Start(ctx context.Context) (*Cluster, error) {
	tools, err := buildTools(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{tools: tools, namespaces: map[string]string{}}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	if err := sweep(os.TempDir()); err != nil {
		return err
	}
	if c.dir, c.lock, err = newDirectory(); err != nil {
		return err
	}
	if err := c.writeIdentities(); err != nil {
		return err
	}
	c.audit = &audit{path: filepath.Join(c.dir, auditLog)}
	if c.etcd, err = startProcess(c.dir, "etcd", c.tools.etcd, etcdFlags(c.dir)...); err != nil {
		return err
	}
	const attempts = 5 // at a port that nobody else takes in between
	for range attempts {
		if c.port, err = freePort(); err != nil {
			return err
		}
		if err = c.StartAPIServer(ctx); !errors.Is(err, errExited) {
			return err
		}
	}
	return err
}

// Stop kills both servers and removes their data. It may be called twice.
func (c *Cluster) Stop() {
	for _, p := range []*process{c.apiserver, c.etcd} {
		if p != nil {
			p.kill()
		}
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir) // what stays is swept by the next start
		_ = c.lock.Close()
		c.dir = ""
	}
}

// errExited is wrapped when the API server ended before it was ready.
var errExited = errors.New("it exited")

// StartAPIServer starts the API server after KillAPIServer, at the same port and
// with the data that it had, and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) (err error) {
	if c.apiserver, err = startProcess(c.dir, "apiserver", c.tools.apiserver, apiserverFlags(c.dir, c.port)...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("not ready within a minute"))
	defer cancel()
	if err := c.ready(ctx); err != nil {
		c.apiserver.kill()
		return fmt.Errorf("start the API server: %w\netcd: %s\nkube-apiserver: %s", err, c.etcd.tail(), c.apiserver.tail())
	}
	return nil
}

func (c *Cluster) ready(ctx context.Context) error {
	admin := c.Admin()
	client, err := rest.HTTPClientFor(admin)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	defer client.CloseIdleConnections()
	for !answersOK(ctx, client, admin.Host+"/readyz") {
		if !c.apiserver.running() {
			return errExited
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// KillAPIServer is kill -9, and returns when the API server is gone. etcd stays.
func (c *Cluster) KillAPIServer() {
	c.apiserver.kill()
	c.audit.cut()
}

// PauseAPIServer is SIGSTOP: connections are taken, and nothing is answered.
func (c *Cluster) PauseAPIServer() error { return c.apiserver.cmd.Process.Signal(syscall.SIGSTOP) }

// ResumeAPIServer is SIGCONT.
func (c *Cluster) ResumeAPIServer() error { return c.apiserver.cmd.Process.Signal(syscall.SIGCONT) }

// freePort returns a loopback port below the range that outgoing connections
// use: the port of a killed server must be free when it starts again, and a
// client that dials it meanwhile must not meet itself.
func freePort() (int, error) {
	const low, high = 20_000, 32_000
	var last error
	for range 50 {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}
