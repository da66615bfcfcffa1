package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	bed "github.com/tokend-project/tokend/test/testbed/vault"
)

// entered is a client that logs in by an AppRole of its own, with a KV mount that it
// may use.
type entered struct {
	client *vault.Client
	kv     *vault.KV
	mount  string
	role   bed.Role
}

func enter(t *testing.T, s *bed.Server, o bed.Token, change func(*vault.Options)) entered {
	t.Helper()
	mount := s.Mount(t, 2)
	o.Policies = append(o.Policies, all(t, s, mount))
	role := s.AppRole(t, o)
	options := vault.Options{Auth: approle(t, role)}
	if change != nil {
		change(&options)
	}
	c := open(t, s, options)
	return entered{client: c, kv: c.KV(mount, 0), mount: mount, role: role}
}

func (e entered) logins(t *testing.T, s *bed.Server) int {
	t.Helper()
	return s.Count(t, "PUT /v1/auth/"+e.role.Mount+"/login")
}

func running(t *testing.T, c *vault.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func TestManyFirstRequestsShareOneLogin(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{TTL: time.Hour}, nil)
	if n := e.logins(t, server); n != 0 {
		t.Fatalf("%d logins before any request", n)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			k := e.client.KV("/"+e.mount+"/", 0) // as each of many sinks asks for it
			if _, err := k.Write(t.Context(), fmt.Sprint("p", i), data("x"), vault.At(0)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := e.logins(t, server); n != 1 {
		t.Errorf("%d logins for 40 requests", n)
	}
	if n := server.Count(t, "GET /v1/sys/internal/ui/mounts/"+e.mount); n != 1 {
		t.Errorf("%d questions for the mount's version", n)
	}
}

func TestCloseRevokesTheTokenOfALoginAndNoOther(t *testing.T) {
	t.Parallel()
	own := bed.Own(t, bed.Options{}) // nobody else's tokens are counted there
	e := enter(t, own, bed.Token{TTL: time.Hour}, nil)
	before := accessors(t, own)
	write(t, e.kv, "a", "x")
	if n := accessors(t, own); n != before+1 {
		t.Fatalf("%d tokens after the login, %d before", n, before)
	}
	e.client.Close()
	e.client.Close() // harmless
	if n := accessors(t, own); n != before {
		t.Errorf("%d tokens are left of %d", n, before)
	}
	_, err := e.kv.Read(t.Context(), "a")
	is(t, err, vault.ErrClosed)

	lent := own.Token(t, bed.Token{Policies: []string{all(t, own, e.mount)}, TTL: time.Hour})
	c := open(t, own, vault.Options{Auth: given(lent)})
	write(t, c.KV(e.mount, 2), "a", "y")
	c.Close()
	if _, err := own.CallAs(t.Context(), lent, http.MethodGet, "auth/token/lookup-self", nil); err != nil {
		t.Errorf("a token that tokend was lent is gone: %v", err)
	}
}

func TestATokenThatDiedIsReplacedWithinTheRequest(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{TTL: time.Hour}, nil)
	write(t, e.kv, "a", "x")
	server.RevokeLogins(t, e.role.Mount)
	var wg sync.WaitGroup
	for range 20 { // all find it dead at once
		wg.Go(func() { write(t, e.kv, "a", "y") })
	}
	wg.Wait()
	if n := e.logins(t, server); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
	m, err := e.kv.Metadata(t.Context(), "a")
	if err != nil || m.Version != 21 {
		t.Errorf("version %d, %v: a write was lost or repeated", m.Version, err)
	}
}

func TestATokenThatExpiredWithoutRunIsReplaced(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{TTL: time.Second, MaxTTL: time.Second}, nil)
	write(t, e.kv, "a", "x")
	eventually(t, 5*time.Second, "a second login", func() bool {
		write(t, e.kv, "a", "x")
		return e.logins(t, server) > 1
	})
}

func TestRunRenewsTheTokenBeforeItEnds(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{TTL: 2 * time.Second, MaxTTL: time.Hour}, nil)
	running(t, e.client)
	write(t, e.kv, "a", "x")
	for end := time.Now().Add(3500 * time.Millisecond); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		write(t, e.kv, "a", "x")
	}
	if n := e.logins(t, server); n != 1 {
		t.Errorf("%d logins, want 1: the token is renewed", n)
	}
}

func TestRunLogsInAgainBeforeTheLastLeaseEnds(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, o := range map[string]bed.Token{
		"at the end of renewal": {TTL: 2 * time.Second, MaxTTL: 3 * time.Second},
		"not renewable":         {TTL: 3 * time.Second, MaxTTL: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enter(t, server, o, nil)
			running(t, e.client)
			write(t, e.kv, "a", "x")
			eventually(t, 6*time.Second, "a second login", func() bool {
				write(t, e.kv, "a", "x")
				return e.logins(t, server) == 2
			})
			m, err := e.kv.Metadata(t.Context(), "a")
			if err != nil || m.Version < 10 {
				t.Errorf("version %d, %v", m.Version, err)
			}
		})
	}
}

// A server that counts in whole seconds can say of a short lease, just after it has
// granted it, that next to nothing is left.
func TestLeaseThatSeemsToEndAsItBeginsMakesNoHotLoopOfLogins(t *testing.T) {
	t.Parallel()
	logins := make(chan time.Time, 100)
	auth := func(w http.ResponseWriter, lease int) {
		_, _ = fmt.Fprintf(w, `{"auth": {"client_token": "s.%d", "lease_duration": %d, "renewable": true}}`, len(logins), lease)
	}
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/login"):
			logins <- time.Now()
			auth(w, 3)
		case strings.HasSuffix(r.URL.Path, "/renew-self"):
			auth(w, 1)
		default:
			kv2(w, r)
		}
	}, func(o *vault.Options) {
		o.Auth = vault.Auth{Method: "approle", Mount: "approle", RoleID: "role", SecretID: token.NewSecret("secret")}
	})
	running(t, c)
	write(t, c.KV("secret", 2), "a", "x")
	first := <-logins
	select {
	case second := <-logins:
		if after := second.Sub(first); after < time.Second {
			t.Errorf("the second login came after %v", after)
		}
	case <-time.After(5 * time.Second):
		t.Error("there was no second login, although the lease has ended")
	}
}

func TestAPeriodicTokenThatTokendWasGivenIsRenewed(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	lent := server.Token(t, bed.Token{Policies: []string{all(t, server, mount)}, Period: 2 * time.Second})
	c := open(t, server, vault.Options{Auth: given(lent)})
	running(t, c)
	k := c.KV(mount, 0)
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		write(t, k, "a", "x")
	}
}

func TestRootAndNonRenewableTokensAreLeftAlone(t *testing.T) {
	t.Parallel()
	own := bed.Own(t, bed.Options{})
	mount := own.Mount(t, 2)
	for _, lent := range []string{own.RootToken, own.Token(t, bed.Token{NotRenewable: true, TTL: time.Hour})} {
		c := open(t, own, vault.Options{Auth: given(lent)})
		running(t, c)
		before := own.Count(t, "GET /v1/auth/token/lookup-self")
		write(t, c.KV(mount, 0), "a", "x")
		eventually(t, 5*time.Second, "a look at the lease", func() bool {
			return own.Count(t, "GET /v1/auth/token/lookup-self") > before
		})
	}
	if n := own.Count(t, "PUT /v1/auth/token/renew-self"); n != 0 {
		t.Errorf("%d renewals", n)
	}
}

// TestAPolicyThatSaysNoIsNoStormOfLogins: a denied sink tries again and again.
func TestAPolicyThatSaysNoIsNoStormOfLogins(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{TTL: time.Hour}, nil)
	write(t, e.kv, "a", "x")
	foreign := e.client.KV(server.Mount(t, 2), 2)
	before := e.logins(t, server)
	for range 50 {
		_, err := foreign.Write(t.Context(), "a", data("x"), vault.CAS{})
		is(t, err, vault.ErrDenied)
		isNot(t, err, vault.ErrLogin)
	}
	// One at once, and one more if the first pause of at most a second ended meanwhile.
	if n := e.logins(t, server) - before; n < 1 || n > 3 {
		t.Errorf("%d logins for 50 denied writes", n)
	}
	write(t, e.kv, "a", "x") // others don't suffer
}

func TestAPolicyWithdrawnAndGivenBack(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	rules := `path "` + mount + `/*" { capabilities = ["create", "read", "update"] }`
	policy := server.Policy(t, rules)
	role := server.AppRole(t, bed.Token{Policies: []string{policy}, TTL: time.Hour})
	c := open(t, server, vault.Options{Auth: approle(t, role)})
	k := c.KV(mount, 0)
	write(t, k, "a", "x")
	server.SetPolicy(t, policy, `path "`+mount+`/*" { capabilities = ["read"] }`)
	for range 3 {
		_, err := k.Write(t.Context(), "a", data("y"), vault.CAS{})
		is(t, err, vault.ErrDenied)
		says(t, err, `path "`+mount+`/data/a" { capabilities = ["create", "update"] }`)
	}
	server.SetPolicy(t, policy, rules)
	write(t, k, "a", "y") // at once: the rules count at each request
}

// TestARoleThatGetsOtherPolicies needs a new login, because a token keeps the
// policies that it was issued with.
func TestARoleThatGetsOtherPolicies(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	may := all(t, server, mount)
	role := server.AppRole(t, bed.Token{Policies: []string{"default"}, TTL: time.Hour})
	c := open(t, server, vault.Options{Auth: approle(t, role)})
	k := c.KV(mount, 2)
	_, err := k.Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrDenied)
	server.Do(t, http.MethodPost, "auth/"+role.Mount+"/role/"+role.Name, map[string]any{"token_policies": []string{may}})
	eventually(t, 10*time.Second, "the write is allowed", func() bool {
		_, err := k.Write(t.Context(), "a", data("x"), vault.CAS{})
		return err == nil
	})
}

func TestATokenWithoutTheDefaultPolicyIsNotReplacedForEver(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	role := server.AppRole(t, bed.Token{Policies: []string{all(t, server, mount)}, TTL: time.Hour})
	server.Do(t, http.MethodPost, "auth/"+role.Mount+"/role/"+role.Name, map[string]any{"token_no_default_policy": true})
	c := open(t, server, vault.Options{Auth: approle(t, role)})
	write(t, c.KV(mount, 0), "a", "x")
	foreign := c.KV(server.Mount(t, 2), 2)
	for range 30 {
		_, err := foreign.Write(t.Context(), "a", data("x"), vault.CAS{})
		is(t, err, vault.ErrDenied)
	}
	if n := server.Count(t, "PUT /v1/auth/"+role.Mount+"/login"); n > 4 {
		t.Errorf("%d logins for 30 denied writes", n)
	}
}

func TestALoginThatFailsIsNotRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{}, func(o *vault.Options) { o.Auth.SecretID = token.NewSecret("wrong-secret") })
	var last error
	for range 30 {
		_, last = e.kv.Write(t.Context(), "a", data("x"), vault.CAS{})
		is(t, last, vault.ErrLogin)
		isNot(t, last, vault.ErrAmbiguous, vault.ErrDenied)
	}
	says(t, last, "secret id", "next try in")
	if strings.Contains(last.Error(), "wrong-secret") || strings.Contains(last.Error(), e.role.RoleID) {
		t.Errorf("a secret is shown: %v", last)
	}
	if f, ok := errors.AsType[*vault.Error](last); !ok || f.RetryAfter() <= 0 || f.RetryAfter() > 2*time.Second {
		t.Errorf("the error says to wait for %v", f.RetryAfter())
	}
	if n := e.logins(t, server); n != 1 {
		t.Errorf("%d logins", n)
	}
}

func TestALoginOutlivesTheRequestThatBeganIt(t *testing.T) {
	t.Parallel()
	var logins atomic.Int32
	arrived, proceed := make(chan struct{}), make(chan struct{})
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/login") {
			logins.Add(1)
			close(arrived)
			<-proceed
			fmt.Fprint(w, `{"auth":{"client_token":"s.own","lease_duration":60,"renewable":true}}`)
			return
		}
		kv2(w, r)
	}, func(o *vault.Options) { o.Auth = vault.Auth{Method: "approle", RoleID: "r"} })
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := c.KV("secret", 0).Read(ctx, "a")
		failed <- err
	}()
	<-arrived
	cancel()
	is(t, <-failed, context.Canceled) // the request ends at once
	close(proceed)
	if _, err := c.KV("secret", 0).Read(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if logins.Load() != 1 {
		t.Errorf("%d logins: a secret id that serves once would be spent", logins.Load())
	}
}

func TestCloseEndsRun(t *testing.T) {
	t.Parallel()
	needServer(t)
	e := enter(t, server, bed.Token{TTL: time.Hour}, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.client.Run(context.Background())
	}()
	write(t, e.kv, "a", "x")
	e.client.Close()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("Run goes on")
	}
}

func TestCloseIsBoundedWhenTheServerHangs(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	defer close(hang)
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/login"):
			fmt.Fprint(w, `{"auth":{"client_token":"s.own","lease_duration":60,"renewable":true}}`)
		case strings.HasSuffix(r.URL.Path, "/revoke-self"):
			<-hang
		default:
			kv2(w, r)
		}
	}, func(o *vault.Options) {
		o.Auth = vault.Auth{Method: "approle", RoleID: "r"}
		o.Timeout = 300 * time.Millisecond
	})
	if _, err := c.KV("secret", 0).Read(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	c.Close()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("Close took %s", took)
	}
}
