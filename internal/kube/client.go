package kube

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

const (
	defaultQPS   = 50
	defaultBurst = 100

	// Leases are renewed every few seconds by each shard, and nothing else goes
	// this way.
	coordinationQPS   = 50
	coordinationBurst = 100
)

// Options describe one API server, and who tokend is there.
type Options struct {
	Name       string // for messages: the name of the configuration's block; may be empty
	Kubeconfig string // path of a kubeconfig file
	Context    string // of the kubeconfig; empty is its current one

	QPS       float64 // requests a second; 0 stands for 50, a negative one for no limit
	Burst     int     // requests at once before QPS counts; 0 stands for 100
	UserAgent string  // empty stands for "tokend"
	Logger    *slog.Logger
}

// Client speaks to one API server. It is safe for concurrent use.
type Client struct {
	name         string
	namespace    string
	logger       *slog.Logger
	http         *http.Client
	main         kubernetes.Interface
	coordination kubernetes.Interface
	watching     sync.WaitGroup
	proofs       proofs

	mu      sync.Mutex
	closed  bool
	watches map[filter]*watched
}

// New makes a client without making a request.
//
// With neither Kubeconfig nor Context, a process in a pod (where
// KUBERNETES_SERVICE_HOST is set) uses its ServiceAccount. Everywhere else
// kubectl's rules hold: $KUBECONFIG, then ~/.kube/config. Exec plugins of a
// kubeconfig work.
//
// klog, which client-go logs to, is one for the whole process. It goes to the
// logger of the first client, and nowhere before there is one.
func New(o Options) (*Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	redirectKlog(o.Logger)
	config, namespace, err := resolve(o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.title(), err)
	}
	return build(o, config, namespace)
}

// NewFromConfig makes a client of a rest.Config instead of a file. The config is
// copied. Kubeconfig and Context of o are ignored; an empty namespace stands for
// "default".
func NewFromConfig(config *rest.Config, namespace string, o Options) (*Client, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	redirectKlog(o.Logger)
	return build(o, rest.CopyConfig(config), namespace)
}

func build(o Options, config *rest.Config, namespace string) (*Client, error) {
	if err := harden(config, o); err != nil {
		return nil, fmt.Errorf("%s: %w", o.title(), err)
	}
	if namespace == "" {
		namespace = "default"
	}
	c := &Client{name: o.Name, namespace: namespace, logger: o.Logger, watches: map[filter]*watched{}}
	var err error
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("%s: %w", o.title(), err)
	}
	config.QPS, config.Burst, config.RateLimiter = 0, 0, o.limiter()
	if c.main, err = kubernetes.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("%s: %w", o.title(), err)
	}
	config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(coordinationQPS, coordinationBurst)
	if c.coordination, err = kubernetes.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("%s: %w", o.title(), err)
	}
	return c, nil
}

func (o Options) title() string {
	if o.Name == "" {
		return "kubernetes"
	}
	return fmt.Sprintf("kubernetes %q", o.Name)
}

func (o Options) limiter() flowcontrol.RateLimiter {
	qps, burst := float32(o.QPS), o.Burst
	if qps < 0 {
		return flowcontrol.NewFakeAlwaysRateLimiter()
	}
	if qps == 0 {
		qps = defaultQPS
	}
	if burst <= 0 {
		burst = defaultBurst
	}
	return flowcontrol.NewTokenBucketRateLimiter(qps, burst)
}

// Interface is client-go's view of the API server, under the client's rate.
func (c *Client) Interface() kubernetes.Interface { return c.main }

// Coordination is the same under a rate of its own, for Leases: a renewal must
// not wait in line behind a thousand Secrets that are due at once.
func (c *Client) Coordination() kubernetes.Interface { return c.coordination }

// Namespace is the one of the ServiceAccount or of the kubeconfig's context, and
// otherwise "default".
func (c *Client) Namespace() string { return c.namespace }

// Close ends every watch, waits for them and closes idle connections. Requests
// that are under way go on.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for _, w := range c.watches {
		w.cancel()
	}
	c.mu.Unlock()
	c.watching.Wait()
	c.http.CloseIdleConnections()
}
