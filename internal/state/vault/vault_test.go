package vault

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	testbed "github.com/tokend-project/tokend/test/testbed/vault"
)

var server *testbed.Server

func TestMain(m *testing.M) { os.Exit(testbed.Main(m, &server)) }

// place is a mount of its own, and a token that may do there what the package's
// documentation says.
type place struct {
	server *testbed.Server
	mount  string
	policy string
	token  string
	key    token.Secret
}

const path = "tokend/state"

func newPlace(t *testing.T, s *testbed.Server) *place {
	t.Helper()
	p := &place{server: s, mount: s.Mount(t, 2)}
	p.policy = s.Policy(t, p.rules())
	p.token = s.Token(t, testbed.Token{Policies: []string{p.policy}, TTL: time.Hour})
	return p
}

func (p *place) rules() string {
	return fmt.Sprintf(`
		path "%[1]s/data/%[2]s/*"     { capabilities = ["create", "read", "update"] }
		path "%[1]s/metadata/%[2]s/*" { capabilities = ["create", "update", "list", "delete"] }`, p.mount, path)
}

func (p *place) kv(t *testing.T) *vault.KV {
	t.Helper()
	c, err := vault.New(vault.Options{
		Address: p.server.Address, TLS: vault.TLS{CAFile: p.server.CAFile},
		Auth: vault.Auth{Method: "token", Token: token.NewSecret(p.token)},
	})
	must(t, err)
	t.Cleanup(c.Close)
	return c.KV(p.mount, 0)
}

func (p *place) options(t *testing.T) Options {
	return Options{KV: p.kv(t), Path: path, Key: p.key}
}

// open opens a store as a process of its own would.
func (p *place) open(t *testing.T) *Store {
	t.Helper()
	s, err := open(t.Context(), p.options(t), bounds{save: 25 * time.Second, pause: time.Millisecond, fresh: 20 * time.Second, reads: 8})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// data is what the newest version of an entry below the path holds.
func (p *place) data(t *testing.T, at string) map[string]any {
	t.Helper()
	data, _ := p.server.Do(t, http.MethodGet, p.mount+"/data/"+path+"/"+at, nil)["data"].(map[string]any)
	return data
}

func (p *place) put(t *testing.T, at string, data map[string]any) {
	t.Helper()
	p.server.Do(t, http.MethodPut, p.mount+"/data/"+path+"/"+at, map[string]any{"data": data})
}

func (p *place) list(t *testing.T, at string) []any {
	t.Helper()
	keys, _ := p.server.Do(t, "LIST", p.mount+"/metadata/"+path+"/"+at, nil)["keys"].([]any)
	return keys
}

func (p *place) about(t *testing.T, name string) map[string]any {
	t.Helper()
	return p.server.Do(t, http.MethodGet, p.mount+"/metadata/"+path+"/records/"+name, nil)
}

// damage flips one bit of a stored record.
func (p *place) damage(t *testing.T, name string) {
	t.Helper()
	data := p.data(t, "records/"+name)
	b, err := base64.StdEncoding.DecodeString(data["record"].(string))
	must(t, err)
	b[len(b)/2] ^= 1
	data["record"] = base64.StdEncoding.EncodeToString(b)
	p.put(t, "records/"+name, data)
}

func (p *place) count(t *testing.T, method string) int {
	t.Helper()
	return p.server.Count(t, method+" /v1/"+p.mount)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]token.Secret{"open": {}, "sealed": token.NewSecret(strings.Repeat("k", 32))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statetest.Run(t, func(t *testing.T) statetest.Backend {
				p := newPlace(t, server)
				p.key = key
				return statetest.Backend{
					Open:   func(t *testing.T) state.Store { return p.open(t) },
					Damage: p.damage,
				}
			})
		})
	}
}

func TestOnlyOneOfSeveralOwnersGetsItsIntentIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	first := p.open(t)
	mustSave(t, first, "one", 1)
	owners := make([]*Store, 6)
	for i := range owners {
		owners[i] = p.open(t)
		wantGeneration(t, owners[i], "one", 1)
	}
	var all sync.WaitGroup
	results := make(chan error, len(owners))
	for i, s := range owners {
		all.Go(func() {
			r := generationOf(1)
			r.Intent = &token.Intent{Attempt: i + 1, Started: time.Now()}
			results <- s.Save(t.Context(), "one", r)
		})
	}
	all.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else {
			wantFenced(t, err)
		}
	}
	if won != 1 {
		t.Errorf("%d owners got their intent in, want 1", won)
	}
}

func TestASleeperIsFencedUntilItLoadsAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	sleeper := p.open(t)
	mustSave(t, sleeper, "one", 1)
	mustSave(t, sleeper, "other", 1)
	successor := p.open(t)
	wantGeneration(t, successor, "one", 1)
	mustSave(t, sleeper, "one", 2) // to load alone fences nobody
	wantFenced(t, successor.Save(t.Context(), "one", generationOf(2)))
	wantGeneration(t, successor, "one", 2)
	mustSave(t, successor, "one", 3)

	before := p.count(t, http.MethodPut)
	wantFenced(t, sleeper.Save(t.Context(), "one", generationOf(9)))
	wantFenced(t, sleeper.Save(t.Context(), "one", generationOf(9)))
	wantFenced(t, sleeper.Delete(t.Context(), "one"))
	if n := p.count(t, http.MethodPut) - before; n != 1 {
		t.Errorf("a fenced store sent %d writes, want the one that found it out", n)
	}
	mustSave(t, sleeper, "other", 2)
	wantGeneration(t, successor, "one", 3)
	wantGeneration(t, sleeper, "one", 3)
	mustSave(t, sleeper, "one", 4)
	wantFenced(t, successor.Delete(t.Context(), "one"))
	wantGeneration(t, successor, "one", 4)
	must(t, successor.Delete(t.Context(), "one"))
	wantFenced(t, sleeper.Save(t.Context(), "one", generationOf(5)))
}

func TestARecordDeletedWithItsMetadataIsAFence(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.server.Do(t, http.MethodDelete, p.mount+"/metadata/"+path+"/records/one", nil)
	wantFenced(t, s.Save(t.Context(), "one", generationOf(2)))
	wantGeneration(t, s, "one", 0)
	mustSave(t, s, "one", 1)
}

func TestARecordThatAPersonSoftDeletedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	s := p.open(t)
	mustSave(t, s, "one", 1)
	p.server.Do(t, http.MethodDelete, p.mount+"/data/"+path+"/records/one", nil)
	wantGeneration(t, p.open(t), "one", 0)
	mustSave(t, s, "one", 2)
	wantGeneration(t, p.open(t), "one", 2)
}

func TestASaveIsOneRequestAndOldVersionsAreDestroyed(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	s := p.open(t)
	wantGeneration(t, s, "one", 0)
	before := p.count(t, http.MethodPut)
	for g := range uint64(10) {
		mustSave(t, s, "one", g+1)
	}
	if n := p.count(t, http.MethodPut) - before; n != 11 {
		t.Errorf("10 saves took %d writes, want 10 and one for max_versions", n)
	}
	about := p.about(t, "one")
	if kept, _ := about["versions"].(map[string]any); len(kept) != 1 || about["current_version"] != float64(10) {
		t.Errorf("%d versions are kept of %v, want 1 of 10", len(kept), about["current_version"])
	}
}

func TestWithoutPermissionForMaxVersionsTheStoreWarnsAndGoesOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server)
	p.server.SetPolicy(t, p.policy, strings.Replace(p.rules(), `["create", "update", "list", "delete"]`, `["list"]`, 1))
	var log strings.Builder
	o := p.options(t)
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(t.Context(), o)
	must(t, err)
	for g := range uint64(3) {
		mustSave(t, s, "one", g+1)
		mustSave(t, s, "two", g+1)
	}
	must(t, s.Close())
	if n := strings.Count(log.String(), "old versions"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log.String())
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, p *place, o *Options)
		is     error
		says   string
	}{
		"a mount of version 1": {func(t *testing.T, p *place, o *Options) {
			p.mount = p.server.Mount(t, 1)
			p.server.SetPolicy(t, p.policy, p.rules())
			o.KV = p.kv(t)
		}, errVersion, "KV version 1"},
		"no mount": {func(t *testing.T, p *place, _ *Options) { p.server.Unmount(t, p.mount) }, nil, ""},
		"no permission": {func(t *testing.T, p *place, _ *Options) {
			p.server.SetPolicy(t, p.policy, strings.Replace(p.rules(), `["create", "read", "update"]`, `["read"]`, 1))
		}, vault.ErrDenied, "/data/" + path + "/records/"},
		"no permission to list": {func(t *testing.T, p *place, _ *Options) {
			p.server.SetPolicy(t, p.policy, strings.Replace(p.rules(), `"list", `, "", 1))
		}, vault.ErrDenied, "/metadata/" + path + "/records"},
		"a short key": {func(_ *testing.T, _ *place, o *Options) { o.Key = token.NewSecret("short") }, state.ErrKey, "too short"},
		"no key": {func(t *testing.T, p *place, _ *Options) {
			seal(t, p, strings.Repeat("k", 32))
		}, state.ErrKey, "no state key is given"},
		"another key": {func(t *testing.T, p *place, o *Options) {
			seal(t, p, strings.Repeat("k", 32))
			o.Key = token.NewSecret(strings.Repeat("o", 32))
		}, state.ErrKey, "another state key"},
		"no path":            {func(_ *testing.T, _ *place, o *Options) { o.Path = "" }, nil, "the path"},
		"a slash at the end": {func(_ *testing.T, _ *place, o *Options) { o.Path = "a/" }, nil, "the path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, server)
			o := p.options(t)
			test.change(t, p, &o)
			s, err := Open(t.Context(), o)
			if err == nil {
				must(t, s.Close())
				t.Fatal("it was opened")
			}
			if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// seal stores a record with a key.
func seal(t *testing.T, p *place, key string) {
	sealed := *p
	sealed.key = token.NewSecret(key)
	mustSave(t, sealed.open(t), "one", 1)
}

func generationOf(g uint64) token.Record {
	r := statetest.Full()
	r.Generation = g
	return r
}

func mustSave(t *testing.T, s *Store, name string, g uint64) {
	t.Helper()
	if err := s.Save(t.Context(), name, generationOf(g)); err != nil {
		t.Fatalf("Save of generation %d: %v", g, err)
	}
}

// wantGeneration loads; 0 stands for no record.
func wantGeneration(t *testing.T, s *Store, name string, g uint64) {
	t.Helper()
	r, err := s.Load(t.Context(), name)
	if g == 0 {
		if !errors.Is(err, token.ErrNoRecord) {
			t.Errorf("Load: generation %d, %v; want no record", r.Generation, err)
		}
		return
	}
	if err != nil || r.Generation != g {
		t.Errorf("Load: generation %d, %v; want %d", r.Generation, err, g)
	}
}

func wantFenced(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, token.ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
