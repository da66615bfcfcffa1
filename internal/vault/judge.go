package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

const maxRetryAfter = time.Hour

// document is what an answer may hold.
type document struct {
	Data   map[string]any  `json:"data"`
	Auth   *api.SecretAuth `json:"auth"`
	Errors []string        `json:"errors"`
}

// judge turns the outcome of [emit] into a document or an error. A 404 may bring
// both: a deleted version has metadata.
func judge(r request, resp *api.Response, err error) (document, error) {
	var doc document
	refused, answered := errors.AsType[*api.ResponseError](err)
	if err != nil && !answered {
		return doc, astray(r, err)
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotFound {
		if err := doc.read(resp.Body); err != nil {
			return document{}, &Error{Op: r.op, Status: resp.StatusCode, says: "the answer can't be read; is this a Vault server?", kinds: []error{ErrAmbiguous}, err: err}
		}
	}
	if refused == nil {
		return doc, nil
	}
	e := byStatus(r, refused)
	e.Op, e.Status = r.op, refused.StatusCode
	if wait := retryAfter(resp.Header, time.Now()); wait > 0 {
		e.after = wait
	}
	return doc, e
}

// read takes an empty body for an empty document. Numbers stay what they were.
func (d *document) read(body io.Reader) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return cause(err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(d); err != nil {
		return errors.New("it is no JSON of the expected form") // a decoder's error quotes
	}
	return nil
}

// astray judges an exchange that brought no answer.
func astray(r request, err error) *Error {
	e := &Error{Op: r.op, err: cause(err)}
	way, onRoad := errors.AsType[*lost](err)
	_, redirected := errors.AsType[*strayed](err)
	switch {
	case redirected:
		e.says = "this server is a standby; add the address of the active one to the configuration if it is to be trusted"
		e.kinds = []error{ErrStandby}
	case onRoad && !way.sent:
		e.says, e.kinds = "the server can't be reached", []error{ErrUnreachable}
	case errors.Is(err, context.DeadlineExceeded):
		e.says, e.kinds = "no answer came in time", []error{ErrAmbiguous}
	default:
		e.says, e.kinds = "no answer came", []error{ErrAmbiguous}
	}
	return e
}

func byStatus(r request, refused *api.ResponseError) *Error {
	if e := recognise(r, refused); e != nil {
		return e
	}
	genuine := !refused.RawError // Vault's own JSON, not that of something in front of it
	switch status := refused.StatusCode; {
	case status == http.StatusForbidden:
		return denied(r)
	case status == http.StatusNotFound && len(refused.Errors) == 0:
		return &Error{says: "nothing is stored there", kinds: []error{ErrNotFound}}
	case status == http.StatusNotFound && genuine:
		return &Error{says: "no secrets engine is mounted there, or it knows no such path", kinds: []error{ErrNoMount}}
	case status == http.StatusTooManyRequests:
		return &Error{says: "a quota of the server is used up", kinds: []error{ErrThrottled}}
	case status == 472, status == 473: // Vault's own: standby of a replication secondary, performance standby
		return &Error{says: "this server is a standby that doesn't serve requests", kinds: []error{ErrStandby}}
	case status == http.StatusServiceUnavailable && genuine:
		return &Error{says: "the server is sealed, not initialised, or has no active node; unseal it", kinds: []error{ErrSealed}}
	case status == http.StatusServiceUnavailable:
		return &Error{says: "the server is not available", kinds: []error{ErrSealed, ErrAmbiguous}}
	case status >= 500:
		return &Error{says: "the server failed; it may have done what was asked", kinds: []error{ErrAmbiguous}}
	case status == http.StatusRequestEntityTooLarge:
		return &Error{says: "the entry is larger than the server takes", kinds: []error{ErrInvalid}}
	default:
		return &Error{says: "the server calls the request malformed", kinds: []error{ErrInvalid}}
	}
}

func denied(r request) *Error {
	e := &Error{says: "the server denies it to tokend's token", kinds: []error{ErrDenied}}
	if r.needs != "" {
		e.Denied = policy(r.path, r.needs)
		e.says += "; a policy has to say: " + e.Denied
	}
	return e
}

// policy is what to write into a policy, as Vault's documentation does.
func policy(path, needs string) string {
	names := strings.Fields(needs)
	for i, n := range names {
		names[i] = strconv.Quote(n)
	}
	return fmt.Sprintf("path %q { capabilities = [%s] }", path, strings.Join(names, ", "))
}

// unsent is the error of a request that was not sent, because one that had to come
// before it failed: whatever became of that, this one did nothing.
func unsent(r request, why string, err error, kinds ...error) *Error {
	e := &Error{Op: r.op, says: why, kinds: kinds, err: err}
	if inner, ok := errors.AsType[*Error](err); ok {
		e.after = inner.after
		e.err = opaque{err}
		for _, k := range []error{ErrDenied, ErrNoMount, ErrVersion, ErrWrapping, ErrSealed, ErrStandby, ErrThrottled, ErrUnreachable, ErrClosed} {
			if slices.Contains(inner.kinds, k) && !slices.Contains(e.kinds, k) {
				e.kinds = append(e.kinds, k)
			}
		}
		if slices.Contains(inner.kinds, ErrAmbiguous) {
			e.kinds = append(e.kinds, ErrUnreachable)
		}
	}
	return e
}

// opaque shows an error's words and hides what it is, but for the end of the context.
type opaque struct{ err error }

func (o opaque) Error() string { return o.err.Error() }

func (o opaque) Is(target error) bool {
	return (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(o.err, target)
}

// retryAfter reads RFC 9110 section 10.2.3: seconds or a date. It is between 0 and
// one hour; a server that asks for more would have tokens die over it.
func retryAfter(h http.Header, now time.Time) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}
