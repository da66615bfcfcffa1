package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/devserver"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// devAPIs is the built-in server of `tokend dev`, with outages that hit the
// token endpoints alone, so that the resources can go on judging.
type devAPIs struct {
	*devserver.Server
	base    string
	address string
	state   string
	http    *http.Server

	mu     sync.Mutex
	outage func(http.ResponseWriter, *http.Request) // nil: none
}

// devTokens are the tokens of its configuration, and where each can be judged.
func devTokens() map[string]devJudge {
	const (
		cities  = "/api/v3/cities"
		catalog = "/api-gateway/mdm-service/wms-masterdata/catalog"
		balance = "/appcontext/api/billing-groups/201506171857210002/balance"
	)
	return map[string]devJudge{
		"musement-app":        {file: "musement/app.token", resource: cities},
		"musement-user":       {file: "musement/user.header", resource: cities},
		"greymatter-upstream": {file: "greymatter/token.json", resource: catalog},
		"rator-customer":      {file: "rator/customer.env", resource: balance},
		"rator-operator":      {file: "rator/operator.token", resource: balance},
		"rator-system":        {file: "rator/system.token", resource: balance},
	}
}

func startDev(t *testing.T, lifetime time.Duration) *devAPIs {
	t.Helper()
	a := &devAPIs{state: filepath.Join(t.TempDir(), "dev.json"), address: "127.0.0.1:0"}
	a.serve(t, lifetime)
	return a
}

// serve may be called again after stop: the state file carries the tokens over.
func (a *devAPIs) serve(t *testing.T, lifetime time.Duration) {
	t.Helper()
	a.Server = must(devserver.New(devserver.Options{Lifetime: lifetime, StatePath: a.state}))(t)
	listener := must(net.Listen("tcp", a.address))(t)
	a.address = listener.Addr().String()
	a.base = "http://" + a.address
	inner := a.Handler()
	a.http = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if out := a.out(r); out != nil {
			out(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})}
	var done sync.WaitGroup
	done.Go(func() { _ = a.http.Serve(listener) }) // always ErrServerClosed
	t.Cleanup(func() { a.stop(t); done.Wait() })
}

func (a *devAPIs) stop(t *testing.T) {
	t.Helper()
	_ = a.http.Close()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// out is the outage that a request meets; the resources meet none.
func (a *devAPIs) out(r *http.Request) func(http.ResponseWriter, *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/login") || strings.HasSuffix(r.URL.Path, "/token") {
		return a.outage
	}
	return nil
}

func (a *devAPIs) setOutage(f func(http.ResponseWriter, *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outage = f
}

// daemon is one that runs what `tokend dev` runs, but with a debug log.
func (a *devAPIs) daemon(t *testing.T) *tokend.Daemon {
	t.Helper()
	d := placeDaemon(t)
	d.Socket = filepath.Join(d.Dir, "control.sock")
	d.Configure(t, strings.Replace(a.Config(a.base, d.Dir), `level  = "info"`, `level  = "debug"`, 1))
	return d
}

// judges watches all tokens of the daemon.
func (a *devAPIs) judges(t *testing.T, d *tokend.Daemon, title string) map[string]*judge {
	t.Helper()
	all := map[string]*judge{}
	for name, j := range devTokens() {
		j.base = a.base
		all[name] = watch(t, title+", "+name, filepath.Join(d.Dir, j.file), j, tenth)
	}
	return all
}

// devJudge asks a resource whether it takes the token in a file, in whatever
// format the file is.
type devJudge struct {
	file, base, resource string
}

// tokenIn finds the token in each of the formats.
var tokenIn = regexp.MustCompile(`(?:Bearer |"access_token": ?"|TOKEND_ACCESS_TOKEN='?|^)([A-Za-z0-9._~+/=-]{20,})`)

// Introspect implements introspector with a request for the resource.
func (j devJudge) Introspect(ctx context.Context, content string) (bool, error) {
	found := tokenIn.FindStringSubmatch(content)
	if found == nil {
		return false, fmt.Errorf("no token in %s", j.file)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.base+j.resource, http.NoBody)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+found[1])
	req.Header.Set("X-Musement-Application", "judge")
	req.Header.Set("X-Musement-Version", "3.4.0")
	req.Header.Set("X-Rator-Brand-Key", "BRAND1")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	resp, err := httpClient().Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusUnauthorized:
		return false, nil
	default:
		return false, fmt.Errorf("the resource answered %s", resp.Status)
	}
}
