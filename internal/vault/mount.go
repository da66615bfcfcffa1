package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// mounted is what the server says about the mount that a path belongs to.
type mounted struct {
	path    string // without slashes at its ends
	version int
}

// detect asks which mount a path belongs to, and its version. It is the question
// that Vault's own command line asks, open to every token that may do anything
// below the mount. The path may be longer than the mount's.
func (c *Client) detect(ctx context.Context, path string) (mounted, error) {
	r := request{op: "ask for the version of mount " + path, method: http.MethodGet, path: "sys/internal/ui/mounts/" + path}
	doc, err := c.do(ctx, r)
	if err != nil {
		return mounted{}, explainDetect(err)
	}
	at, _ := doc.Data["path"].(string)
	m := mounted{path: strings.Trim(at, "/"), version: 1}
	if m.path == "" || (path+"/" != m.path+"/" && !strings.HasPrefix(path, m.path+"/")) {
		return mounted{}, &Error{Op: r.op, says: "the answer names no mount", kinds: []error{ErrAmbiguous}}
	}
	if kind, _ := doc.Data["type"].(string); kind != "kv" && kind != "generic" {
		return mounted{}, &Error{Op: r.op, says: "the secrets engine at " + m.path + " is no KV engine", kinds: []error{ErrVersion}}
	}
	if options, ok := doc.Data["options"].(map[string]any); ok && options["version"] == "2" {
		m.version = 2
	}
	return m, nil
}

// explainDetect says what a 403 means here: the server makes no difference between
// a mount that isn't there and one that the token may not touch.
func explainDetect(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, ErrDenied) {
		return err
	}
	named := *e
	named.kinds = []error{ErrDenied, ErrNoMount}
	named.says = "there is no such mount, or no policy of tokend's token allows anything below it; grant it access there, or, if a proxy hides this question, set the version"
	return &named
}

// detection is one question for a mount that any number of requests wait for.
type detection struct {
	done  chan struct{}
	mount mounted // valid once done is closed, as is err
	err   error
}

// ask asks for the mount, or waits for the answer that another request asked for.
func (k *KV) ask(ctx context.Context) (mounted, error) {
	c := k.client
	c.mu.Lock()
	d := k.detection
	if d == nil {
		d = &detection{done: make(chan struct{})}
		detached := context.WithoutCancel(ctx)
		if !c.begin(func() { k.answer(detached, d) }) {
			c.mu.Unlock()
			return mounted{}, &Error{Op: "use mount " + k.mount, says: "the client of this server is closed", kinds: []error{ErrClosed}}
		}
		k.detection = d
	}
	c.mu.Unlock()
	select {
	case <-d.done:
		return d.mount, d.err
	case <-ctx.Done():
		return mounted{}, context.Cause(ctx)
	}
}

func (k *KV) answer(ctx context.Context, d *detection) {
	d.mount, d.err = k.client.detect(ctx, k.mount)
	k.client.mu.Lock()
	k.detection = nil
	k.client.mu.Unlock()
	close(d.done)
}

// resolve returns the mount's version, which it asks for once.
func (k *KV) resolve(ctx context.Context, r *request) (int, error) {
	if k.fault != nil {
		return 0, &Error{Op: r.op, says: "the mount's path or version is not valid", kinds: []error{ErrInvalid}, err: k.fault}
	}
	if v := k.version.Load(); v != 0 {
		return int(v), nil
	}
	m, err := k.ask(ctx)
	switch {
	case err == nil && m.path != k.mount:
		return 0, &Error{Op: r.op, says: "nothing is mounted at " + k.mount + "; it lies in the mount " + m.path, kinds: []error{ErrNoMount}}
	case err == nil && k.given != 0 && k.given != m.version:
		return 0, &Error{Op: r.op, says: "the mount has another KV version than the configuration says", kinds: []error{ErrVersion}}
	case errors.Is(err, ErrDenied) && k.given != 0:
		m.version = k.given // the server won't say, so the configuration's word counts
	case err != nil:
		return 0, k.undetected(*r, err)
	}
	k.version.Store(int32(m.version))
	return m.version, nil
}

// undetected is the error of a request that was not sent, because it is not known how.
func (k *KV) undetected(r request, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", r.op, err)
	}
	if errors.Is(err, ErrLogin) || errors.Is(err, ErrClosed) {
		short := *e
		short.Op = r.op
		return &short
	}
	return unsent(r, "the mount's version is not known", err)
}

// forget has the version asked for again: the mount is gone, and what comes in its
// place may be of another.
func (k *KV) forget() { k.version.Store(0) }
