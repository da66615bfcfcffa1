package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
)

const canary = "s3cr3t-access-token"

// daemon answers as its functions say; a function that is missing fails.
type daemon struct {
	control.Daemon
	status  control.Status
	token   func(name string, minTTL time.Duration) (token.Token, error)
	refresh func(ctx context.Context, name string, login bool) error
	wait    func(ctx context.Context, names []string, minTTL time.Duration) error
	reload  func() error
}

func (d daemon) Status() control.Status {
	status := d.status
	status.Tokens = append([]token.Status(nil), d.status.Tokens...)
	return status
}

func (d daemon) Token(_ context.Context, name string, minTTL time.Duration) (token.Token, error) {
	return d.token(name, minTTL)
}

func (d daemon) Refresh(ctx context.Context, name string, login bool) error {
	return d.refresh(ctx, name, login)
}

func (d daemon) Wait(ctx context.Context, names []string, minTTL time.Duration) error {
	return d.wait(ctx, names, minTTL)
}

func (d daemon) Reload(context.Context) error { return d.reload() }

func (d daemon) Fingerprints(context.Context) (control.Fingerprints, error) {
	return control.Fingerprints{Salt: []byte("salt"), Tokens: map[string]map[string]string{"a": {"grant": "00ff"}}}, nil
}

func twoTokens() control.Status {
	return control.Status{Version: "1.2.3", PID: 42, Tokens: []token.Status{
		{Name: "musement-user", State: token.StateFresh, Generation: 3, ExpiresAt: time.Now().Add(time.Hour).Round(0)},
		{Name: "operator", State: token.StatePending},
	}}
}

// serve runs a server for d until the test ends, and returns a client of it and
// what stops it early.
func serve(t *testing.T, d control.Daemon, logs *bytes.Buffer) (*control.Client, func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "control.sock")
	logger := slog.New(slog.DiscardHandler)
	if logs != nil {
		logger = slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := control.Listen(ctx, control.Options{Socket: socket, Daemon: d, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	var stopped bool
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
		if _, err := os.Lstat(socket); err == nil {
			t.Error("the socket outlived the server")
		}
		_ = os.RemoveAll(dir)
	}
	t.Cleanup(stop)
	client := control.NewClient(socket)
	t.Cleanup(client.Close)
	return client, stop
}

func TestTokenCrossesTheSocketWhole(t *testing.T) {
	now := time.Now().UTC().Round(0)
	want := token.Token{Generation: 7, AccessToken: token.NewSecret(canary), TokenType: "Bearer", Scope: "a b", IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
	var logs bytes.Buffer
	client, stop := serve(t, daemon{token: func(name string, minTTL time.Duration) (token.Token, error) {
		if name != "operator" || minTTL != 90*time.Second {
			t.Errorf("asked for %q with %s", name, minTTL)
		}
		return want, nil
	}}, &logs)
	got, err := client.Token(t.Context(), "operator", 90*time.Second)
	if err != nil || !reflect.DeepEqual(got, want) || got.AccessToken.Reveal() != canary {
		t.Fatalf("Token = %+v, %v; want %+v", got, err, want)
	}
	stop()
	if strings.Contains(logs.String(), canary) {
		t.Errorf("the access token is in the log: %s", &logs)
	}
}

func TestErrorsKeepTheirKindAcrossTheSocket(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		is    error
		words string
	}{
		"not ready": {fmt.Errorf("token %q: %w", "operator", control.ErrNotReady), control.ErrNotReady, "no valid access token"},
		"too short": {fmt.Errorf("token %q: %w", "operator", control.ErrTooShort), control.ErrTooShort, "expires too soon"},
		"unknown":   {fmt.Errorf("token %q: %w", "operatr", control.ErrUnknownToken), control.ErrUnknownToken, `no token "operatr" is configured. Did you mean "operator"?`},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := serve(t, daemon{status: twoTokens(), token: func(string, time.Duration) (token.Token, error) { return token.Token{}, c.err }}, nil)
			_, err := client.Token(t.Context(), "operatr", 0)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v: want the kind of %v and the words %q", err, c.is, c.words)
			}
			for _, other := range []error{control.ErrNotReady, control.ErrTooShort, control.ErrUnknownToken, control.ErrStopping} {
				if other != c.is && errors.Is(err, other) {
					t.Errorf("error %v is %v too", err, other)
				}
			}
		})
	}
}

func TestStatusIsFilteredByName(t *testing.T) {
	client, _ := serve(t, daemon{status: twoTokens()}, nil)
	all, err := client.Status(t.Context())
	if err != nil || !reflect.DeepEqual(all.Tokens[0].Name+all.Tokens[1].Name, "musement-useroperator") || all.PID != 42 {
		t.Fatalf("Status = %+v, %v", all, err)
	}
	one, err := client.Status(t.Context(), "operator")
	if err != nil || len(one.Tokens) != 1 || one.Tokens[0].Name != "operator" {
		t.Errorf("Status of one = %+v, %v", one, err)
	}
	if _, err := client.Status(t.Context(), "operator", "musement-usr"); !errors.Is(err, control.ErrUnknownToken) || !strings.Contains(err.Error(), `"musement-user"`) {
		t.Errorf("Status of an unknown token = %v", err)
	}
	names, err := client.Names(t.Context())
	if err != nil || !reflect.DeepEqual(names, []string{"musement-user", "operator"}) {
		t.Errorf("Names = %v, %v", names, err)
	}
}

func TestRefreshReportsTheClassOfItsFailure(t *testing.T) {
	client, _ := serve(t, daemon{refresh: func(_ context.Context, name string, login bool) error {
		if !login {
			return nil
		}
		return fmt.Errorf("log in %s: %w", name, &token.Failure{Class: token.Rejected, Status: 400, Code: "invalid_grant"})
	}}, nil)
	if err := client.Refresh(t.Context(), "operator", false); err != nil {
		t.Errorf("Refresh = %v", err)
	}
	err := client.Refresh(t.Context(), "operator", true)
	refusal, ok := errors.AsType[*control.Error](err)
	if !ok || refusal.Class != "rejected" || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("Refresh with login = %v", err)
	}
}

func TestWaitNamesThoseThatAreLate(t *testing.T) {
	client, _ := serve(t, daemon{status: twoTokens(), wait: func(ctx context.Context, _ []string, _ time.Duration) error {
		<-ctx.Done()
		return ctx.Err()
	}}, nil)
	err := client.Wait(t.Context(), nil, time.Minute, time.Millisecond)
	if !errors.Is(err, control.ErrNotReady) || !strings.HasSuffix(err.Error(), ": operator") {
		t.Errorf("Wait = %v, want one late token", err)
	}
}

func TestWaitEndsWhenTheClientLeaves(t *testing.T) {
	waiting, left := make(chan struct{}), make(chan struct{})
	client, _ := serve(t, daemon{wait: func(ctx context.Context, _ []string, _ time.Duration) error {
		close(waiting)
		<-ctx.Done()
		close(left)
		return ctx.Err()
	}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-waiting; cancel() }()
	if err := client.Wait(ctx, nil, 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
	<-left
}

func TestStoppingEndsThoseWhoWait(t *testing.T) {
	waiting := make(chan struct{})
	client, stop := serve(t, daemon{wait: func(ctx context.Context, _ []string, _ time.Duration) error {
		close(waiting)
		<-ctx.Done()
		return context.Cause(ctx)
	}}, nil)
	answered := make(chan error, 1)
	go func() { answered <- client.Wait(context.Background(), nil, 0, 0) }()
	<-waiting
	stop()
	if err := <-answered; !errors.Is(err, control.ErrStopping) {
		t.Errorf("Wait = %v, want ErrStopping", err)
	}
}

func TestReloadAndFingerprints(t *testing.T) {
	client, _ := serve(t, daemon{reload: func() error { return errors.New("tokend.hcl:3: unknown key") }}, nil)
	if err := client.Reload(t.Context()); !errors.Is(err, control.ErrConfig) || err.Error() != "tokend.hcl:3: unknown key" {
		t.Errorf("Reload = %v", err)
	}
	f, err := client.Fingerprints(t.Context())
	if err != nil || string(f.Salt) != "salt" || f.Tokens["a"]["grant"] != "00ff" {
		t.Errorf("Fingerprints = %+v, %v", f, err)
	}
}

func TestMissingSocketSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, err := control.NewClient(filepath.Join(dir, "none.sock")).Status(t.Context())
	u, ok := errors.AsType[*control.UnreachableError](err)
	if !ok || u.Socket != filepath.Join(dir, "none.sock") {
		t.Fatalf("Status = %v, want an UnreachableError", err)
	}
	for _, words := range []string{"is tokend running?", "--socket", "none.sock"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
}
