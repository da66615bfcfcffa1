package app

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// whole is a token in which every field says something. Only "custom" lets a
// test add what parameters it likes.
func whole(t *testing.T, dir string) *config.Token {
	t.Helper()
	request := func() config.Request {
		return config.Request{
			Method: "POST", ParamsIn: "query", ClientAuth: "client_secret_basic", BasicEncoding: "rfc6749",
			Headers: secrets("X-A", "a"), Query: secrets("q", "1"), Params: secrets("p", "1"),
		}
	}
	schedule := config.Schedule{RefreshAt: 0.75, Jitter: 0.1, Lead: time.Minute, MinInterval: time.Second, Cron: []string{"1 1 * * *"}, LoginCron: []string{"2 2 * * *"}}
	return &config.Token{
		Name: "operator", ClientID: "client", ClientSecret: token.NewSecret("secret"),
		Provider: &config.Provider{
			Name: "rator", Profile: "rfc6749", TokenEndpoint: "https://as.example/token", ClientID: "client", ClientSecret: token.NewSecret("secret"),
			Timeout: time.Second, Requests: map[string]config.Request{"": request(), "refresh_token": request()},
			Response:      config.Response{AccessToken: "a", RefreshToken: "r", ExpiresIn: "e", TokenType: "t", Scope: "s", DefaultLifetime: time.Hour},
			RefreshTokens: config.RefreshTokens{Use: true, Grace: time.Second}, Schedule: schedule,
			Limits: config.Limits{Concurrency: 4, Rate: 2},
			TLS:    config.TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")},
		},
		Grant: config.Grant{Kind: "custom", Params: secrets("username", "op", "password", "pw"), Scope: []string{"a"}}, Schedule: schedule,
		Probe: &config.Probe{URL: "https://api.example/", Method: "GET", Headers: secrets("X-B", "b"), Every: time.Minute, Timeout: time.Second},
		Sinks: []config.Sink{{Kind: "file", File: &config.FileSink{
			Path: filepath.Join(dir, "out"), Mode: 0o600, DirMode: 0o700, Owner: strconv.Itoa(os.Getuid()), Group: strconv.Itoa(os.Getgid()),
			Format: "token", Variable: "V", Machine: "m", Login: "l", Registry: "r", Username: "u", User: "k", OnRemove: "keep",
		}}},
		OnUpdate: &config.OnUpdate{Command: []string{"true"}, Timeout: time.Second},
	}
}

// effect is what a changed field changes.
type effect struct {
	parts string // the parts of the token, with commas; empty: none
	to    any    // the changed value, where adding to the old one makes none
}

// effects covers every field of a token's configuration.
func effects(dir string) map[string]effect {
	sink := partSink + "file " + filepath.Join(dir, "out")
	requests := map[string]effect{
		"Method": {"request", "GET"}, "ParamsIn": {"request", "form"}, "ClientAuth": {"request", "client_secret_post"}, "BasicEncoding": {"request", "raw"},
		"Headers": {parts: "request"}, "Query": {parts: "request"}, "Params": {parts: "request"},
	}
	all := map[string]effect{
		"Name":                              {}, // another token
		"Provider.Name":                     {}, // another lane to the same server
		"Provider.Profile":                  {}, // what it stands for is in the other fields
		"Provider.ClientID":                 {}, // the token's own is what counts
		"Provider.ClientSecret":             {},
		"Provider.TokenEndpoint":            {parts: "login,request"},
		"Provider.Timeout":                  {parts: "request,schedule"},
		"Provider.AllowInsecureHTTP":        {parts: "request"},
		"Provider.Response.AccessToken":     {parts: "request"},
		"Provider.Response.RefreshToken":    {parts: "request"},
		"Provider.Response.ExpiresIn":       {parts: "request"},
		"Provider.Response.TokenType":       {parts: "request"},
		"Provider.Response.Scope":           {parts: "request"},
		"Provider.Response.DefaultLifetime": {parts: "request"},
		"Provider.RefreshTokens.Use":        {parts: "schedule"},
		"Provider.RefreshTokens.Grace":      {parts: "schedule"},
		"Provider.Limits.Concurrency":       {parts: "request"}, // how many connections are kept
		"Provider.Limits.Rate":              {},                 // the lane's, not the token's
		"Provider.TLS.CAFile":               {"request", filepath.Join(dir, "ca2.pem")},
		"Provider.TLS.CertFile":             {"request", filepath.Join(dir, "cert2.pem")},
		"Provider.TLS.KeyFile":              {"request", filepath.Join(dir, "key2.pem")},
		"ClientID":                          {parts: "login,request"},
		"ClientSecret":                      {parts: "request"},
		"Grant.Kind":                        {parts: "login"},
		"Grant.Params":                      {parts: "login,request"},
		"Grant.Scope":                       {parts: "login"},
		"Schedule.RefreshAt":                {parts: "schedule"},
		"Schedule.Jitter":                   {parts: "schedule"},
		"Schedule.Lead":                     {parts: "schedule"},
		"Schedule.MinInterval":              {parts: "schedule"},
		"Schedule.Cron":                     {"schedule", []string{"3 3 * * *"}},
		"Schedule.LoginCron":                {"schedule", []string{"3 3 * * *"}},
		"Probe.URL":                         {parts: "probe"},
		"Probe.Method":                      {"probe", "HEAD"},
		"Probe.Headers":                     {parts: "probe"},
		"Probe.Every":                       {parts: "probe"},
		"Probe.Timeout":                     {parts: "probe"},
		"Probe.AllowInsecureHTTP":           {parts: "probe"},
		"OnUpdate.Command":                  {parts: "on_update"},
		"OnUpdate.Timeout":                  {parts: "on_update"},
		"Sinks.File.Path":                   {parts: sink + "," + sink + "x"},
		"Sinks.File.Mode":                   {sink, fs.FileMode(0o640)},
		"Sinks.File.DirMode":                {sink, fs.FileMode(0o750)},
		"Sinks.File.Owner":                  {sink, ""},
		"Sinks.File.Group":                  {sink, ""},
		"Sinks.File.Format":                 {sink, "json"},
		"Sinks.File.Template":               {sink, "{{ .AccessToken }}"},
		"Sinks.File.Variable":               {parts: sink},
		"Sinks.File.Machine":                {parts: sink},
		"Sinks.File.Login":                  {parts: sink},
		"Sinks.File.Registry":               {parts: sink},
		"Sinks.File.Username":               {parts: sink},
		"Sinks.File.User":                   {parts: sink},
		"Sinks.File.OnRemove":               {sink, "delete"},
		"Sinks.Propagation":                 {parts: "schedule"},
	}
	for name, e := range requests {
		all["Provider.Requests[]."+name], all["Provider.Requests[refresh_token]."+name] = e, e
	}
	for _, name := range []string{"RefreshAt", "Jitter", "Lead", "MinInterval"} {
		all["Provider.Schedule."+name] = effect{} // the token's own is what counts
	}
	all["Provider.Schedule.Cron"], all["Provider.Schedule.LoginCron"] = effect{}, effect{}
	return all
}

// visit calls f with every field below v that is no structure of the
// configuration itself, and with its path.
func visit(v reflect.Value, path string, f func(path string, field reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Elem(), path, f)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[token.Secret]() {
			f(path, v)
			return
		}
		for i := range v.NumField() {
			visit(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), f)
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]string]() {
			f(path, v)
			return
		}
		for i := range v.Len() {
			visit(v.Index(i), path, f)
		}
	case reflect.Map:
		if v.Type().Elem() != reflect.TypeFor[config.Request]() {
			f(path, v)
			return
		}
		for _, key := range v.MapKeys() { // what a map holds is changed in a copy
			element := reflect.New(v.Type().Elem()).Elem()
			element.Set(v.MapIndex(key))
			visit(element, path+"["+key.String()+"]", f)
			v.SetMapIndex(key, element)
		}
	default:
		f(path, v)
	}
}

// alter changes a field to something else of its type.
func alter(t *testing.T, v reflect.Value, to any) {
	t.Helper()
	switch value := v.Interface().(type) {
	case token.Secret:
		v.Set(reflect.ValueOf(token.NewSecret(value.Reveal() + "x")))
		return
	case map[string]token.Secret:
		value["x"] = token.NewSecret("x")
		return
	case map[string]string:
		v.Set(reflect.ValueOf(map[string]string{"x": "x"}))
		return
	case []string:
		if to == nil {
			to = append(slices.Clone(value), "x")
		}
	}
	switch {
	case to != nil:
		v.Set(reflect.ValueOf(to))
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.CanInt():
		v.SetInt(v.Int() + 1)
	case v.CanFloat():
		v.SetFloat(v.Float() + 0.01)
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	default:
		t.Fatalf("a field of type %s cannot be altered yet: teach this test", v.Type())
	}
}

// partsOf builds a token and returns its fingerprints.
func partsOf(t *testing.T, tok *config.Token, salt string) map[string]string {
	t.Helper()
	specs, err := dryBuild(&config.Config{Providers: []*config.Provider{tok.Provider}, Tokens: []*config.Token{tok}}, []byte(salt), newClients(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return parts(specs[0], newPrinter([]byte(salt)))
}

// differing names the parts that are not the same on both sides.
func differing(a, b map[string]string) string {
	both := maps.Clone(a)
	maps.Copy(both, b)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(both)) {
		if a[name] != b[name] {
			out = append(out, name)
		}
	}
	return strings.Join(out, ",")
}

// A field that is in no fingerprint is one whose change no reload takes up, so a
// new field that is not in the table fails.
func TestEveryFieldChangesItsFingerprintAndNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKeyPair(t, dir)
	before := partsOf(t, whole(t, dir), "salt")
	want := effects(dir)
	var paths []string
	visit(reflect.ValueOf(whole(t, dir)), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	for _, path := range paths {
		if path == "Sinks.Kind" {
			continue // says which of the other fields is set
		}
		e, ok := want[path]
		if !ok {
			t.Errorf("%s is a field of the configuration whose effect on fingerprints is not in the table", path)
			continue
		}
		delete(want, path)
		changed := whole(t, dir)
		visit(reflect.ValueOf(changed), "", func(p string, field reflect.Value) {
			if p == path {
				alter(t, field, e.to)
			}
		})
		if got := differing(before, partsOf(t, changed, "salt")); got != e.parts {
			t.Errorf("%s changes the fingerprints of %q, not %q", path, got, e.parts)
		}
	}
	for path := range want {
		t.Errorf("%s is in the table and not in the configuration", path)
	}
}

func TestEveryFieldOfASinkElsewhereChangesItsFingerprint(t *testing.T) {
	t.Parallel()
	pr := newPrinter([]byte("salt"))
	for _, made := range []func() (sink any, print func() refresher.Fingerprint){
		func() (any, func() refresher.Fingerprint) {
			k := &config.KubernetesSink{Kubernetes: &config.Kubernetes{}}
			return k, func() refresher.Fingerprint { return kubernetesPrint(k, pr) }
		},
		func() (any, func() refresher.Fingerprint) {
			v := &config.VaultSink{Vault: &config.Vault{}}
			return v, func() refresher.Fingerprint { return vaultPrint(v, pr) }
		},
	} {
		blank, print := made()
		before := print()
		visit(reflect.ValueOf(blank), "", func(path string, _ reflect.Value) {
			changed, print := made()
			visit(reflect.ValueOf(changed), "", func(p string, field reflect.Value) {
				if p == path {
					alter(t, field, nil)
				}
			})
			if print() == before {
				t.Errorf("%T: %s changes no fingerprint", blank, path)
			}
		})
	}
}

func TestChangedValuesOfMapsChangeTheFingerprint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKeyPair(t, dir)
	before := partsOf(t, whole(t, dir), "salt")
	for name, c := range map[string]struct {
		vary  func(*config.Token)
		parts string
	}{
		"username":               {param("username", "somebody"), "login,request"},
		"password":               {param("password", "rotated"), "request"},
		"header's value":         {func(t *config.Token) { t.Probe.Headers = secrets("X-B", "c") }, "probe"},
		"header's name":          {func(t *config.Token) { t.Probe.Headers = secrets("X-C", "b") }, "probe"},
		"no probe":               {func(t *config.Token) { t.Probe = nil }, "probe"},
		"no hook":                {func(t *config.Token) { t.OnUpdate = nil }, "on_update"},
		"arguments run into one": {func(t *config.Token) { t.OnUpdate.Command = []string{"tr", "ue"} }, "on_update"},
		"no labelled request":    {func(t *config.Token) { delete(t.Provider.Requests, "refresh_token") }, "request"},
		"query moved to params": {func(t *config.Token) {
			r := t.Provider.Requests[""]
			r.Query, r.Params = secrets(), secrets("p", "1", "q", "1")
			t.Provider.Requests[""] = r
		}, "request"},
	} {
		tok := whole(t, dir)
		c.vary(tok)
		if got := differing(before, partsOf(t, tok, "salt")); got != c.parts {
			t.Errorf("%s changes the fingerprints of %q, not %q", name, got, c.parts)
		}
	}
}

// Without the salt, nobody can try passwords against a fingerprint. The binding
// has none, and holds no secret.
func TestFingerprintsDependOnTheSalt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKeyPair(t, dir)
	a, b := partsOf(t, whole(t, dir), "one"), partsOf(t, whole(t, dir), "other")
	for name := range a {
		if same := a[name] == b[name]; same != (name == partLogin) {
			t.Errorf("%s is the same under two salts: %t", name, same)
		}
	}
	if got := differing(a, partsOf(t, whole(t, dir), "one")); got != "" {
		t.Errorf("the same configuration differs in %s", got)
	}
}

func TestPrinterTellsPlacesApart(t *testing.T) {
	t.Parallel()
	seen := map[refresher.Fingerprint]int{}
	p := newPrinter([]byte("salt"))
	for i, print := range []refresher.Fingerprint{
		p.begin("a").sum(), p.begin("b").sum(), p.begin("a").str("").sum(), p.begin("a").str("", "").sum(),
		p.begin("a").str("bc").sum(), p.begin("a").str("b", "c").sum(), p.begin("ab").str("c").sum(),
		p.begin("a").num(1, 2).sum(), p.begin("a").num(2, 1).sum(), p.begin("a").dur(3).sum(),
		p.begin("a").secrets(secrets("k", "v")).sum(), p.begin("a").secrets(secrets("v", "k")).sum(), p.begin("a").secrets(secrets("kv", "")).sum(),
		p.begin("a").any([]string{"x y"}).sum(), p.begin("a").any([]string{"x", "y"}).sum(),
	} {
		if other, ok := seen[print]; ok {
			t.Errorf("%d and %d have one fingerprint", other, i)
		}
		seen[print] = i
	}
}

// What is taken at start alone must at least be said to wait for a restart.
func TestChangedBlockThatWaitsForARestartIsSaid(t *testing.T) {
	t.Parallel()
	full := func() *config.Config {
		return &config.Config{
			State: config.State{Dir: "/a", Key: token.NewSecret("k")}, HA: &config.HA{Name: "tokend"}, HTTP: &config.HTTP{Address: "127.0.0.1:1"},
			Tracing: &config.Tracing{Endpoint: "http://127.0.0.1:1", Headers: map[string]token.Secret{"A": token.NewSecret("a")}, Sample: 0.5},
			Control: config.Control{Socket: "/s", Group: "g"}, Log: config.Log{Format: "json"},
		}
	}
	warned := func(cfg *config.Config) string {
		var b bytes.Buffer
		a := &App{logger: slog.New(slog.NewTextHandler(&b, nil)), fixed: fixedOf(full())}
		a.warnFixed(cfg)
		if strings.Count(b.String(), "\n") > 1 {
			t.Errorf("one change, several warnings: %s", b.String())
		}
		_, block, _ := strings.Cut(strings.TrimSpace(b.String()), "block=")
		return block
	}
	if block := warned(full()); block != "" {
		t.Errorf("nothing changed, and %s is warned of", block)
	}
	without := full()
	without.HTTP = nil
	if block := warned(without); block != "http" {
		t.Errorf("the http block is gone, and the warning is of %q", block)
	}
	var paths []string
	visit(reflect.ValueOf(full()), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	for _, path := range paths {
		cfg := full()
		visit(reflect.ValueOf(cfg), "", func(p string, field reflect.Value) {
			if p == path {
				alter(t, field, nil)
			}
		})
		want, _, _ := strings.Cut(strings.ToLower(path), ".")
		if block := warned(cfg); block != want {
			t.Errorf("%s changed, and the warning is of %q", path, block)
		}
	}
	var blocks []string
	for _, path := range paths {
		block, _, _ := strings.Cut(path, ".")
		if !slices.Contains(blocks, block) {
			blocks = append(blocks, block)
		}
	}
	if got, want := fmt.Sprint(blocks), "[State HA HTTP Metrics Systemd Tracing Control Log]"; got != want {
		t.Errorf("the blocks are %s, not %s: is a new one taken up by reloads?", got, want)
	}
}
