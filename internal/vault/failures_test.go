package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/vault"
	bed "github.com/tokend-project/tokend/test/testbed/vault"
)

// TestASealedServerIsUsedAgainOnceItIsUnsealed covers a token that outlives the
// seal, as tokens do.
func TestASealedServerIsUsedAgainOnceItIsUnsealed(t *testing.T) {
	t.Parallel()
	own := bed.Own(t, bed.Options{})
	e := enter(t, own, bed.Token{TTL: time.Hour}, nil)
	write(t, e.kv, "a", "x")
	late := enter(t, own, bed.Token{TTL: time.Hour}, nil) // has not logged in yet
	if err := own.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := e.kv.Write(t.Context(), "a", data("y"), vault.CAS{})
	is(t, err, vault.ErrSealed)
	isNot(t, err, vault.ErrAmbiguous, vault.ErrDenied, vault.ErrLogin)
	says(t, err, "unseal")
	_, err = late.kv.Write(t.Context(), "a", data("y"), vault.CAS{})
	is(t, err, vault.ErrSealed, vault.ErrLogin)
	if err := own.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, e.kv, "a", "z")
	if n := e.logins(t, own); n != 1 {
		t.Errorf("%d logins", n)
	}
	eventually(t, 10*time.Second, "the late one is in", func() bool {
		_, err := late.kv.Write(t.Context(), "a", data("y"), vault.CAS{})
		return err == nil
	})
}

func TestAServerThatIsKilledAndRestarted(t *testing.T) {
	t.Parallel()
	own := bed.Own(t, bed.Options{})
	e := enter(t, own, bed.Token{TTL: time.Hour}, nil)
	running(t, e.client)
	write(t, e.kv, "a", "x")
	own.Kill()
	for range 3 {
		_, err := e.kv.Write(t.Context(), "a", data("y"), vault.At(1))
		if !errors.Is(err, vault.ErrUnreachable) && !errors.Is(err, vault.ErrAmbiguous) { // the latter on the connection that was open
			t.Errorf("error %v", err)
		}
	}
	_, err := e.kv.Write(t.Context(), "a", data("y"), vault.At(1))
	is(t, err, vault.ErrUnreachable)
	isNot(t, err, vault.ErrLogin)
	if err := own.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the write works", func() bool {
		_, err := e.kv.Write(t.Context(), "a", data("z"), vault.At(1))
		return err == nil
	})
}

func TestALostAnswerIsAmbiguousAndNotRepeated(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	k := asRoot(t, server).KV(mount, 0)
	write(t, k, "a", "x")
	put := "PUT /v1/" + mount + "/data/a"
	before := server.Count(t, put)
	server.LoseAnswers(t, put, 1)
	_, err := k.Write(t.Context(), "a", data("landed"), vault.At(1))
	is(t, err, vault.ErrAmbiguous)
	isNot(t, err, vault.ErrCAS, vault.ErrUnreachable)
	if n := server.Count(t, put) - before; n != 1 {
		t.Errorf("%d requests", n)
	}
	if e, err := k.Read(t.Context(), "a"); err != nil || e.Version != 2 || e.Data["token"] != "landed" {
		t.Errorf("read %+v, %v: this is how a caller finds out", e, err)
	}
	server.LoseRequests(t, put, 1)
	_, err = k.Write(t.Context(), "a", data("not landed"), vault.At(2))
	is(t, err, vault.ErrAmbiguous)
	if e, err := k.Read(t.Context(), "a"); err != nil || e.Version != 2 {
		t.Errorf("read %+v, %v", e, err)
	}
}

func TestAQuotaSaysHowLongToWait(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	k := asRoot(t, server).KV(mount, 2)
	write(t, k, "a", "x")
	remove := server.Quota(t, mount, 1)
	defer remove()
	var err error
	for range 20 {
		if _, err = k.Write(t.Context(), "a", data("x"), vault.CAS{}); err != nil {
			break
		}
	}
	is(t, err, vault.ErrThrottled)
	isNot(t, err, vault.ErrAmbiguous)
	var waits interface{ RetryAfter() time.Duration }
	if !errors.As(err, &waits) || waits.RetryAfter() <= 0 || waits.RetryAfter() > time.Minute {
		t.Errorf("error %v says no sensible time to wait", err)
	}
}

func TestAnEntryOverTheStoragesLimit(t *testing.T) {
	t.Parallel()
	own := bed.Own(t, bed.Options{Storage: "raft"})
	k := asRoot(t, own).KV(own.Mount(t, 2), 0)
	_, err := k.Write(t.Context(), "a", data(strings.Repeat("x", 1<<20)), vault.CAS{})
	is(t, err, vault.ErrInvalid)
	isNot(t, err, vault.ErrAmbiguous)
	says(t, err, "larger than")
}

// TestWhatAStatusMeans uses transcripts of what servers and what stands before them
// answer; none of their words may be shown.
func TestWhatAStatusMeans(t *testing.T) {
	t.Parallel()
	const secret = "s.leaked"
	own := `{"errors":["` + secret + `"]}`
	cases := []struct {
		name   string
		status int
		header string // Retry-After
		body   string
		want   []error
		not    []error
		wait   time.Duration
	}{
		{name: "absent", status: 404, body: `{"errors":[]}`, want: []error{vault.ErrNotFound}, not: []error{vault.ErrNoMount}},
		{name: "no handler", status: 404, body: own, want: []error{vault.ErrNoMount}, not: []error{vault.ErrNotFound}},
		{name: "a proxy's 404", status: 404, body: "<html>" + secret, want: []error{vault.ErrAmbiguous}, not: []error{vault.ErrNotFound}},
		{name: "quota", status: 429, header: "7", body: own, want: []error{vault.ErrThrottled}, not: []error{vault.ErrAmbiguous}, wait: 7 * time.Second},
		{name: "absurd wait", status: 429, header: "999999999", body: own, want: []error{vault.ErrThrottled}, wait: time.Hour},
		{name: "garbled wait", status: 429, header: "soon", body: own, want: []error{vault.ErrThrottled}},
		{name: "past date", status: 429, header: "Thu, 01 Jan 1970 00:00:00 GMT", body: own, want: []error{vault.ErrThrottled}},
		{name: "sealed", status: 503, body: `{"errors":["Vault is sealed"]}`, want: []error{vault.ErrSealed}, not: []error{vault.ErrAmbiguous}},
		{name: "a proxy's 503", status: 503, header: "3", body: "<html>" + secret, want: []error{vault.ErrSealed, vault.ErrAmbiguous}, wait: 3 * time.Second},
		{name: "standby of a secondary", status: 472, body: own, want: []error{vault.ErrStandby}, not: []error{vault.ErrAmbiguous}},
		{name: "performance standby", status: 473, body: own, want: []error{vault.ErrStandby}, not: []error{vault.ErrAmbiguous}},
		{name: "server error", status: 500, body: own, want: []error{vault.ErrAmbiguous}},
		{name: "gateway timeout", status: 504, body: secret, want: []error{vault.ErrAmbiguous}},
		{name: "bad request", status: 400, body: own, want: []error{vault.ErrInvalid}, not: []error{vault.ErrCAS, vault.ErrAmbiguous}},
		{name: "mismatch", status: 400, body: `{"errors":["check-and-set parameter did not match the current version"]}`, want: []error{vault.ErrCAS}},
		{name: "condition demanded", status: 400, body: `{"errors":["check-and-set parameter required for this call"]}`, want: []error{vault.ErrInvalid}, not: []error{vault.ErrCAS}},
		{name: "upgrading", status: 400, body: `{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`, want: []error{vault.ErrThrottled}},
		{name: "too large", status: 413, body: own, want: []error{vault.ErrInvalid}, not: []error{vault.ErrAmbiguous}},
		{name: "teapot", status: 418, body: own, want: []error{vault.ErrInvalid}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := scripted(t, afterDetection(func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}), nil).KV("secret", 0)
			_, err := k.Write(t.Context(), "a", data("x"), vault.At(1))
			is(t, err, c.want...)
			isNot(t, err, c.not...)
			isNot(t, err, vault.ErrLogin, vault.ErrDenied)
			e, ok := errors.AsType[*vault.Error](err)
			if !ok || e.Status != c.status || e.RetryAfter() != c.wait {
				t.Errorf("status %d, wait %v", e.Status, e.RetryAfter())
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the body is shown: %v", err)
			}
		})
	}
}
