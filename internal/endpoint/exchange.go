package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	maxBody = 1 << 20
	maxHead = 64 << 10
	// maxInterim bounds the 1xx answers that may come before the real one.
	maxInterim = 5
)

// response is what came back, before anybody has judged it.
type response struct {
	issued     time.Time // just before the request was written
	status     int
	header     http.Header
	body       []byte // belongs to the buffer that exchange was given
	incomplete string // a stable word for why body isn't whole, or empty
	err        error  // the cause of incomplete
}

var (
	errNotHTTP     = errors.New("the server did not answer with a readable HTTP message")
	errTooBig      = errors.New("the answer is larger than 1 MiB")
	errNoAnswer    = errors.New("the server closed the connection without an answer")
	errInterrupted = errors.New("the connection ended within the answer")
)

// exchange sends one request and reads its answer into body. Within the
// deadline it may try several connections, but only until the first byte of the
// request is out.
func (c *Client) exchange(ctx context.Context, t *template, request []byte, body *buffer) (*response, *token.Failure) {
	if by, ok := ctx.Deadline(); !ok || time.Until(by) > c.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	for {
		if ctx.Err() != nil {
			return nil, failed(ctx, token.NotSent, "dial", ctx.Err())
		}
		cn, reused := c.pool.get(), true
		if cn == nil {
			var step string
			var err error
			reused = false
			if cn, step, err = c.dialer.dial(ctx); err != nil {
				return nil, failed(ctx, token.NotSent, step, err)
			}
		}
		r, sent, failure := c.over(ctx, cn, t, request, body)
		if failure == nil || sent || !reused || ctx.Err() != nil {
			return r, failure
		}
	}
}

// over makes the exchange over one connection, and puts it back or closes it.
func (c *Client) over(ctx context.Context, cn *conn, t *template, request []byte, body *buffer) (r *response, sent bool, f *token.Failure) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = cn.SetDeadline(deadline)
	}
	c.interrupts.join(ctx, cn)
	reusable := false
	defer func() {
		if !c.interrupts.leave(ctx, cn) || !reusable || cn.SetDeadline(time.Time{}) != nil {
			_ = cn.Close()
			return
		}
		c.pool.put(cn)
	}()
	// Wall clock: a suspended machine's monotonic clock would stretch the
	// lifetime that is counted from here.
	issued := time.Now().Round(0)
	before := cn.counted.written
	if _, err := cn.Write(request); err != nil {
		if cn.counted.written == before {
			return nil, false, failed(ctx, token.NotSent, "write", err)
		}
		return nil, true, failed(ctx, token.Ambiguous, "write", err)
	}
	r, reusable, f = read(ctx, cn, t.reader, body)
	if r != nil {
		r.issued = issued
	}
	return r, true, f
}

func read(ctx context.Context, cn *conn, request *http.Request, body *buffer) (*response, bool, *token.Failure) {
	cn.limit.N = maxHead + maxBody + maxBody/8 // an eighth for the framing of chunks
	if _, err := cn.reader.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			err = errNoAnswer
		}
		return nil, false, failed(ctx, token.Ambiguous, "read", err)
	}
	answer, err := head(cn, request) //nolint:bodyclose // the connection is closed or reused as a whole
	if err != nil {
		return nil, false, failed(ctx, token.Ambiguous, "read", err)
	}
	r := &response{status: answer.StatusCode, header: answer.Header}
	r.body, err = readBody(answer.Body, body)
	switch {
	case errors.Is(err, errTooBig):
		r.incomplete, r.err = "oversize", err
	case err != nil:
		f := failed(ctx, token.Ambiguous, "read", err)
		r.incomplete, r.err = f.Reason, f.Err
	}
	return r, err == nil && !answer.Close && cn.reader.Buffered() == 0, nil
}

// head reads up to the final status line and its headers.
func head(cn *conn, request *http.Request) (*http.Response, error) {
	for range maxInterim {
		answer, err := http.ReadResponse(cn.reader, request)
		if err != nil {
			return nil, err
		}
		if answer.StatusCode/100 != 1 || answer.StatusCode == http.StatusSwitchingProtocols {
			return answer, nil
		}
	}
	return nil, errNotHTTP
}

// readBody reads all of r into b, at most 1 MiB. What it leaves behind when it
// grows, it clears.
func readBody(r io.Reader, b *buffer) ([]byte, error) {
	for {
		if len(b.b) == cap(b.b) {
			larger := make([]byte, len(b.b), 2*cap(b.b))
			copy(larger, b.b)
			clear(b.b)
			b.b = larger
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		switch {
		case len(b.b) > maxBody:
			return b.b[:maxBody], errTooBig
		case errors.Is(err, io.EOF):
			return b.b, nil
		case err != nil:
			return b.b, err
		}
	}
}

// failed builds the failure of an exchange that brought no answer. A deadline
// or a cancellation is named as such, whatever the network said about it.
func failed(ctx context.Context, class token.Class, step string, err error) *token.Failure {
	network := (net.Error)(nil)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &token.Failure{Class: class, Reason: "canceled", Err: fmt.Errorf("%s: %w", step, context.Cause(ctx))}
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return &token.Failure{Class: class, Reason: "timeout", Err: fmt.Errorf("%s: %w", step, context.DeadlineExceeded)}
	case class == token.NotSent:
		return &token.Failure{Class: class, Reason: step, Err: err}
	case errors.As(err, &network) && network.Timeout():
		step = "timeout"
	}
	return &token.Failure{Class: class, Reason: step, Err: safe(err)}
}

// safe keeps errors of the network and of TLS, and replaces those of the HTTP
// reader: they quote what the server sent.
func safe(err error) error {
	network, errno := (*net.OpError)(nil), syscall.Errno(0)
	switch {
	case errors.As(err, &network), errors.As(err, &errno), errors.Is(err, errNoAnswer):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errInterrupted
	}
	return errNotHTTP
}
