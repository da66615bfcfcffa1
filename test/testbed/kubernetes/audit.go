package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// Request is a request that the API server took, whatever came of it.
type Request struct {
	User      string // system:serviceaccount:<namespace>:<name>, or admin
	UserAgent string
	Verb      string // get list watch create update patch delete deletecollection
	Resource  string // plural, with a subresource after a slash: serviceaccounts/token
	Namespace string
	Name      string
	Code      int // HTTP status; 0 for a watch that lasts and for what a kill cut off
	At        time.Time
}

// Requests are requests in the order in which they arrived.
type Requests []Request

// Where returns those that a condition holds for.
func (r Requests) Where(holds func(Request) bool) Requests {
	var chosen Requests
	for _, request := range r {
		if holds(request) {
			chosen = append(chosen, request)
		}
	}
	return chosen
}

// Of returns those of one user.
func (r Requests) Of(user string) Requests {
	return r.Where(func(request Request) bool { return request.User == user })
}

// By returns those whose User-Agent begins so.
func (r Requests) By(userAgent string) Requests {
	return r.Where(func(request Request) bool { return strings.HasPrefix(request.UserAgent, userAgent) })
}

// In returns those for one namespace.
func (r Requests) In(namespace string) Requests {
	return r.Where(func(request Request) bool { return request.Namespace == namespace })
}

// Counts counts them by verb and resource: "patch secrets".
func (r Requests) Counts() map[string]int {
	counts := map[string]int{}
	for _, request := range r {
		counts[request.Verb+" "+request.Resource]++
	}
	return counts
}

// Requests returns all requests since the cluster's start, apart from those that
// the API server makes itself and those for no resource, such as /readyz and
// discovery. The audit log holds a request before it is served, so that what was
// answered before this call is in it. It waits up to five seconds for the ends
// of requests that are being served.
func (c *Cluster) Requests(ctx context.Context) (Requests, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		requests, settled, err := c.audit.read()
		if err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if settled || pause(ctx) != nil {
			return requests, nil
		}
	}
}

// audit reads the API server's audit log as far as it is written.
type audit struct {
	path string

	mu       sync.Mutex
	offset   int64
	requests Requests
	open     map[string]int // audit ID of what has not ended → its place in requests
}

// auditEvent is what is read of an audit.k8s.io/v1 Event.
type auditEvent struct {
	AuditID   string                                                  `json:"auditID"`
	Stage     string                                                  `json:"stage"`
	Verb      string                                                  `json:"verb"`
	UserAgent string                                                  `json:"userAgent"`
	Received  time.Time                                               `json:"requestReceivedTimestamp"`
	User      struct{ Username string }                               `json:"user"`
	Object    struct{ Resource, Subresource, Namespace, Name string } `json:"objectRef"`
	Response  struct{ Code int }                                      `json:"responseStatus"`
}

// read returns all that is known, and whether everything short has ended.
func (a *audit) read() (Requests, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.advance(); err != nil {
		return nil, false, err
	}
	settled := true
	for _, place := range a.open {
		settled = settled && a.requests[place].Verb == "watch"
	}
	return append(Requests(nil), a.requests...), settled, nil
}

// cut forgets what was being served when the API server was killed.
func (a *audit) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.advance() == nil {
		a.open = nil
	}
}

func (a *audit) advance() error {
	file, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was asked yet
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.NewSectionReader(file, a.offset, 1<<40))
	if err != nil {
		return err
	}
	complete := content[:bytes.LastIndexByte(content, '\n')+1]
	a.offset += int64(len(complete))
	for line := range bytes.Lines(complete) {
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return err
		}
		a.add(event)
	}
	return nil
}

func (a *audit) add(event auditEvent) {
	place, known := a.open[event.AuditID]
	if !known {
		if a.open == nil {
			a.open = map[string]int{}
		}
		place = len(a.requests)
		a.open[event.AuditID] = place
		a.requests = append(a.requests, Request{})
	}
	a.requests[place] = event.request()
	if event.Stage == "ResponseComplete" || event.Stage == "Panic" {
		delete(a.open, event.AuditID)
	}
}

func (e auditEvent) request() Request {
	resource := e.Object.Resource
	if e.Object.Subresource != "" {
		resource += "/" + e.Object.Subresource
	}
	return Request{
		User: e.User.Username, UserAgent: e.UserAgent, Verb: e.Verb, Resource: resource,
		Namespace: e.Object.Namespace, Name: e.Object.Name, Code: e.Response.Code, At: e.Received,
	}
}
