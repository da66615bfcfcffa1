package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// answerFunc returns what to send as JSON; nil is an empty object.
type answerFunc func(r *http.Request) (any, error)

// handler is the API over d, for connections that went through [withRefusal].
func handler(d Daemon) http.Handler {
	a := api{d}
	mux := http.NewServeMux()
	for pattern, answer := range map[string]answerFunc{
		"GET " + pathStatus:       a.status,
		"GET " + pathNames:        a.names,
		"GET " + pathToken:        a.token,
		"POST " + pathRefresh:     a.refresh,
		"GET " + pathWait:         a.wait,
		"POST " + pathReload:      a.reload,
		"GET " + pathFingerprints: a.fingerprints,
		"/":                       unknownRequest,
	} {
		mux.Handle(pattern, serve(answer))
	}
	return guard(mux)
}

func unknownRequest(r *http.Request) (any, error) {
	return nil, fmt.Errorf("%w: the daemon knows no %s %s; do daemon and command have the same version?", errBadRequest, r.Method, r.URL.Path)
}

// guard answers nothing but a refusal to a peer that may not use the socket,
// and refuses bodies, of which no request has one.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err, _ := r.Context().Value(refusalKey{}).(error)
		if err == nil && r.ContentLength != 0 {
			err = fmt.Errorf("%w: a request has no body", errBadRequest)
		}
		if err != nil {
			w.Header().Set("Connection", "close")
			send(w, nil, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func serve(answer answerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := answer(r)
		if err != nil && errors.Is(context.Cause(r.Context()), ErrStopping) {
			err = ErrStopping
		}
		send(w, body, err)
	})
}

func send(w http.ResponseWriter, body any, err error) {
	status := http.StatusOK
	if err != nil {
		body, status = wireError(err)
	} else if body == nil {
		body = struct{}{}
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An error means that the client is gone.
	if all, ok := body.(Status); ok {
		_ = writeStatus(w, all)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// writeStatus encodes a token at a time: as one piece, the status of a large fleet
// takes more memory than the fleet itself, and an encoder keeps its buffers.
func writeStatus(w io.Writer, s Status) error {
	tokens := s.Tokens
	s.Tokens = []token.Status{}
	head, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the status: %w", err)
	}
	const tail = "]}" // tokens are the last field
	out := bufio.NewWriter(w)
	_, _ = out.Write(bytes.TrimSuffix(head, []byte(tail)))
	for i := range tokens {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		each, err := json.Marshal(&tokens[i])
		if err != nil {
			return fmt.Errorf("encoding the status: %w", err)
		}
		_, _ = out.Write(each)
	}
	_, _ = out.WriteString(tail + "\n")
	return out.Flush() // tells of every write that failed
}
