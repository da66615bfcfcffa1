package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

// show renders a request with what it sends.
func (r Request) show() string {
	return fmt.Sprintf("%s %s %s %s%s%s%s", r.Method, r.ParamsIn, r.ClientAuth, r.BasicEncoding, reveal(" headers", r.Headers), reveal(" query", r.Query), reveal(" params", r.Params))
}

func reveal(what string, m map[string]token.Secret) string {
	if len(m) == 0 {
		return ""
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, key+"="+m[key].Reveal())
	}
	return fmt.Sprintf("%s[%s]", what, strings.Join(parts, " "))
}

// TestLayersOfRequests: what lies upon what, for every grant_type.
func TestLayersOfRequests(t *testing.T) {
	const accept = " headers[Accept=application/json]"
	for _, tc := range []struct {
		name, provider string
		want           map[string]string // by grant_type
	}{
		{"nothing said is RFC 6749", ``, map[string]string{
			"": "POST form client_secret_basic rfc6749" + accept}},
		{"musement is a GET with everything in its query", `profile = "musement"`, map[string]string{
			"":              "GET query client_secret_post rfc6749" + accept,
			"refresh_token": "GET query client_secret_post rfc6749" + accept}},
		{"musement's newer POST with JSON", "profile = \"musement\"\nrequest {\nmethod = \"POST\"\nparams_in = \"json\"\n}", map[string]string{
			"": "POST json client_secret_post rfc6749" + accept}},
		{"greymatter is a form with a fixed client", `profile = "greymatter"`, map[string]string{
			"password": "POST form client_secret_basic rfc6749" + accept}},
		{"rator refreshes with a form", `profile = "rator"`, map[string]string{
			"":              "POST query client_secret_basic raw" + accept,
			"refresh_token": "POST form client_secret_basic raw" + accept}},
		{"rator with its brand", "profile = \"rator\"\nrequest {\nquery = { brand_key = \"B\" }\n}\nrequest \"refresh_token\" {\nparams = { brandKey = \"B\" }\n}", map[string]string{
			"":              "POST query client_secret_basic raw" + accept + " query[brand_key=B]",
			"refresh_token": "POST form client_secret_basic raw" + accept + " query[brand_key=B] params[brandKey=B]"}},
		{"what has no label displaces a profile's label", "profile = \"rator\"\nrequest {\nparams_in = \"query\"\n}", map[string]string{
			"refresh_token": "POST query client_secret_basic raw" + accept}},
		{"a profile's label keeps what is not displaced", "profile = \"rator\"\nrequest {\nclient_auth = \"client_secret_post\"\n}", map[string]string{
			"refresh_token": "POST form client_secret_post raw" + accept}},
		{"a user's label lies on top, in whatever order", "request \"password\" {\nparams_in = \"json\"\n}\nrequest {\nparams_in = \"query\"\n}", map[string]string{
			"":         "POST query client_secret_basic rfc6749" + accept,
			"password": "POST json client_secret_basic rfc6749" + accept}},
		{"maps are merged, names of headers without case", "request {\nheaders = { accept = \"text/plain\", X-A = \"1\" }\n}\nrequest \"password\" {\nheaders = { x-a = \"2\" }\n}", map[string]string{
			"":         "POST form client_secret_basic rfc6749 headers[Accept=text/plain X-A=1]",
			"password": "POST form client_secret_basic rfc6749 headers[Accept=text/plain X-A=2]"}},
		{"null takes a key away", "request {\nheaders = { Accept = null }\nquery = { a = \"1\", b = \"2\" }\n}\nrequest \"password\" {\nquery = { a = null }\n}", map[string]string{
			"":         "POST form client_secret_basic rfc6749 query[a=1 b=2]",
			"password": "POST form client_secret_basic rfc6749 query[b=2]"}},
		{"a dynamic request", "dynamic \"request\" {\nfor_each = [\"password\"]\nlabels = [request.value]\ncontent {\nparams_in = \"json\"\n}\n}", map[string]string{
			"password": "POST json client_secret_basic rfc6749" + accept}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, report := loadText(t, "provider \"p\" {\ntoken_endpoint = \"https://auth.example/token\"\n"+tc.provider+"\n}\n", Options{})
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			for grantType, want := range tc.want {
				if got := cfg.Providers[0].RequestFor(grantType).show(); got != want {
					t.Errorf("%q:\n got %s\nwant %s", grantType, got, want)
				}
			}
		})
	}
}

// TestProfilesNeedAddressAndCredentialsAlone: every profile makes a working
// provider with what only the user can know.
func TestProfilesNeedAddressAndCredentialsAlone(t *testing.T) {
	d := newDecoder(Options{})
	for _, name := range d.profileNames() {
		t.Run(name, func(t *testing.T) {
			client := "client_id = \"id\"\nclient_secret = \"secret\"\n"
			if name == "greymatter" { // the profile knows the client
				client = ""
			}
			cfg, report := loadText(t, fmt.Sprintf(`
provider "p" {
  profile        = %q
  token_endpoint = "https://auth.example/token"
  %s
}
token "t" {
  provider = "p"
  grant "password" {
    username = "u"
    password = "p"
  }
}
`, name, client), Options{})
			if len(report.Diagnostics) > 0 {
				t.Fatal(report.Diagnostics)
			}
			if got := cfg.Tokens[0]; got.ClientID == "" || got.ClientSecret.IsEmpty() || got.Provider.Profile != name {
				t.Errorf("token %+v", got)
			}
		})
	}
}

func TestGreymatterLogsInAnewUnlessToldOtherwise(t *testing.T) {
	for body, want := range map[string]bool{"": false, "refresh_tokens {\nuse = true\n}\n": true} {
		cfg, report := loadText(t, "provider \"p\" {\nprofile = \"greymatter\"\ntoken_endpoint = \"https://auth.example/token\"\n"+body+"}\n", Options{})
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		p := cfg.Providers[0]
		if p.RefreshTokens.Use != want || p.ClientID != "butler" || p.ClientSecret.Reveal() != "butler" {
			t.Errorf("%q: use %t, client %q", body, p.RefreshTokens.Use, p.ClientID)
		}
	}
}

func TestClientOfTheProfileCanBeReplaced(t *testing.T) {
	cfg, report := loadText(t, "provider \"p\" {\nprofile = \"greymatter\"\ntoken_endpoint = \"https://auth.example/token\"\nclient_id = \"own\"\nclient_secret = \"own-secret\"\n}\n", Options{})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if p := cfg.Providers[0]; p.ClientID != "own" || p.ClientSecret.Reveal() != "own-secret" {
		t.Errorf("client %q", p.ClientID)
	}
}

// TestEveryProfileCitesItsSources: a fact without a source is a rumour.
func TestEveryProfileCitesItsSources(t *testing.T) {
	d := newDecoder(Options{})
	for _, name := range d.profileNames() {
		data, err := profileFiles.ReadFile(profileDir + name + ".hcl")
		if err != nil {
			t.Fatal(err)
		}
		if text := string(data); !strings.Contains(text, "Facts are from") && !strings.Contains(text, "section") {
			t.Errorf("profile %s cites nothing", name)
		}
	}
}
