package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
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
	_ = json.NewEncoder(w).Encode(body) // an error means that the client is gone
}
