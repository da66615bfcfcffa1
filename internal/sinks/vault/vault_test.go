package vault_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	testbed "github.com/tokend-project/tokend/test/testbed/vault"
)

var server *testbed.Server

func TestMain(m *testing.M) { os.Exit(testbed.Main(m, &server)) }

// place is one entry of a mount of its own, and whoever may write it.
type place struct {
	server  *testbed.Server
	client  *vault.Client
	kv      *vault.KV
	version int
	mount   string
	path    string // of the API, below the mount
	policy  string
	token   string
}

const entry = "apps/shop"

// newPlace gives tokend a token that may do what the package's documentation says.
func newPlace(t *testing.T, s *testbed.Server, version int) *place {
	t.Helper()
	p := &place{server: s, version: version, path: entry}
	p.mount = s.Mount(t, version)
	p.policy = s.Policy(t, p.rules())
	if version == 2 {
		p.path = "data/" + entry
	}
	p.token = s.Token(t, testbed.Token{Policies: []string{p.policy}, TTL: time.Hour})
	p.client = connect(t, s, p.token)
	p.kv = p.client.KV(p.mount, 0)
	return p
}

func (p *place) rules() string {
	if p.version == 1 {
		return rule(p.mount+"/"+entry, `"create", "update", "read", "delete"`)
	}
	return rule(p.mount+"/data/"+entry, `"create", "update", "read", "delete"`) +
		rule(p.mount+"/metadata/"+entry, `"create", "update", "read"`)
}

func rule(path, capabilities string) string {
	return fmt.Sprintf("path %q { capabilities = [%s] }\n", path, capabilities)
}

func connect(t *testing.T, s *testbed.Server, secret string) *vault.Client {
	t.Helper()
	c, err := vault.New(vault.Options{
		Address: s.Address, TLS: vault.TLS{CAFile: s.CAFile},
		Auth: vault.Auth{Method: "token", Token: token.NewSecret(secret)},
	})
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func (p *place) sink(t *testing.T, o sink.Options) *sink.Sink {
	t.Helper()
	if o.KV == nil {
		o.KV = p.kv
	}
	o.Path = entry
	if o.Data == nil {
		o.Data = formats(t, map[string]string{"token": "{{ .AccessToken }}"})
	}
	s, err := sink.New(o)
	must(t, err)
	return s
}

func formats(t *testing.T, texts map[string]string) map[string]sinks.Format {
	t.Helper()
	out := map[string]sinks.Format{}
	for key, text := range texts {
		f, err := sinks.NewTemplate(text)
		must(t, err)
		out[key] = f
	}
	return out
}

// data is what the entry holds, nil for nothing.
func (p *place) data(t *testing.T) map[string]any {
	t.Helper()
	answer := p.server.Do(t, http.MethodGet, p.mount+"/"+p.path, nil)
	if p.version == 2 {
		answer, _ = answer["data"].(map[string]any)
	}
	if _, failed := answer["errors"]; failed {
		return nil
	}
	return answer
}

// about is the path's metadata.
func (p *place) about(t *testing.T) map[string]any {
	t.Helper()
	return p.server.Do(t, http.MethodGet, p.mount+"/metadata/"+entry, nil)
}

// put writes as somebody else would.
func (p *place) put(t *testing.T, data map[string]any) {
	t.Helper()
	body := data
	if p.version == 2 {
		body = map[string]any{"data": data}
	}
	p.server.Do(t, http.MethodPut, p.mount+"/"+p.path, body)
}

func (p *place) holds(t *testing.T, generation uint64) {
	t.Helper()
	want := sinktest.Token(generation).AccessToken.Reveal()
	if got := p.data(t)["token"]; got != want {
		t.Errorf("the entry does not hold generation %d", generation)
	}
}

// requests counts what the server saw of this mount.
func (p *place) requests(t *testing.T, method string) int {
	t.Helper()
	n := 0
	for _, prefix := range []string{"data/", "metadata/", "apps"} {
		n += p.server.Count(t, method+" /v1/"+p.mount+"/"+prefix)
	}
	return n
}

// young is a token that was issued just now, as a refresh brings it.
func young(generation uint64) token.Token {
	t := sinktest.Token(generation)
	t.IssuedAt = time.Now()
	t.ExpiresAt = t.IssuedAt.Add(time.Hour)
	return t
}

func write(t *testing.T, s *sink.Sink, tok token.Token, changed bool) {
	t.Helper()
	got, err := s.Write(t.Context(), tok)
	if err != nil || got != changed {
		t.Fatalf("Write of generation %d = %v, %v; want %v", tok.Generation, got, err, changed)
	}
}

func run(t *testing.T, m *sink.Monitor) *sink.Monitor {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { m.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
