package endpoint

import (
	"encoding/base64"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

// sent makes one request of this shape and returns what the server read.
func sent(t *testing.T, r Request, p Params) (line string, headers map[string]string, body string) {
	t.Helper()
	s := answers(t, ok(goodBody))
	c := newClient(t, Config{TokenEndpoint: s.url("/token?fixed=1"), Requests: map[string]Request{"": r}})
	if _, err := c.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(s.seen()[0], "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	headers = map[string]string{}
	for _, l := range lines[1:] {
		name, value, _ := strings.Cut(l, ": ")
		if headers[name] != "" {
			t.Errorf("header %s is there twice", name)
		}
		headers[name] = value
	}
	return lines[0], headers, body
}

func TestPlacesOfParameters(t *testing.T) {
	p := Params{GrantType: "password", ClientID: "id", ClientSecret: token.NewSecret("s"), Values: secrets("username", "a b&c", "password", "ü+%")}
	const encoded = "password=%C3%BC%2B%25&username=a+b%26c"
	for _, tc := range []struct {
		name             string
		r                Request
		line, body, kind string
	}{
		{"RFC 6749", Request{}, "POST /token?fixed=1 HTTP/1.1", "grant_type=password&" + encoded, "application/x-www-form-urlencoded"},
		{"secret in the body", Request{ClientAuth: "client_secret_post"}, "POST /token?fixed=1 HTTP/1.1",
			"client_id=id&client_secret=s&grant_type=password&" + encoded, "application/x-www-form-urlencoded"},
		{"public client", Request{ClientAuth: "none"}, "POST /token?fixed=1 HTTP/1.1", "client_id=id&grant_type=password&" + encoded, "application/x-www-form-urlencoded"},
		{"GET", Request{Method: "GET", ClientAuth: "client_secret_post"},
			"GET /token?fixed=1&client_id=id&client_secret=s&grant_type=password&" + encoded + " HTTP/1.1", "", ""},
		{"POST with a query", Request{ParamsIn: "query", Query: secrets("brand_key", "B 1")},
			"POST /token?fixed=1&brand_key=B+1&grant_type=password&" + encoded + " HTTP/1.1", "", "application/x-www-form-urlencoded"},
		{"form beside a query", Request{Query: secrets("z", "2", "brand_key", "B 1"), Params: secrets("extra", "x")},
			"POST /token?fixed=1&brand_key=B+1&z=2 HTTP/1.1", "extra=x&grant_type=password&" + encoded, "application/x-www-form-urlencoded"},
		{"JSON", Request{ParamsIn: "json", ClientAuth: "client_secret_post"}, "POST /token?fixed=1 HTTP/1.1",
			`{"client_id":"id","client_secret":"s","grant_type":"password","password":"ü+%","username":"a b\u0026c"}`, "application/json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			line, headers, body := sent(t, tc.r, p)
			if line != tc.line || body != tc.body || headers["Content-Type"] != tc.kind {
				t.Errorf("got  %s\n%s\n%s\nwant %s\n%s\n%s", line, headers["Content-Type"], body, tc.line, tc.kind, tc.body)
			}
			if headers["Accept"] != "application/json" || headers["User-Agent"] != "tokend" {
				t.Errorf("headers %v", headers)
			}
		})
	}
}

// golang.org/x/oauth2 escapes the secret for servers that never unescape it.
func TestBasicEncodingIsAsConfigured(t *testing.T) {
	p := Params{GrantType: "client_credentials", ClientID: "my client", ClientSecret: token.NewSecret("s%/+é")}
	for encoding, want := range map[string]string{"": "my+client:s%25%2F%2B%C3%A9", "rfc6749": "my+client:s%25%2F%2B%C3%A9", "raw": "my client:s%/+é"} {
		_, headers, body := sent(t, Request{BasicEncoding: encoding}, p)
		if got := headers["Authorization"]; got != "Basic "+base64.StdEncoding.EncodeToString([]byte(want)) {
			t.Errorf("%s: %s", encoding, got)
		}
		if strings.Contains(body, "client_id") {
			t.Errorf("the client names itself twice: %s", body)
		}
	}
}

func TestGrantParameterWinsOverConfiguredOne(t *testing.T) {
	for _, in := range []string{"query", "form", "json"} {
		r := Request{ParamsIn: in, ClientAuth: "none", Params: secrets("scope", "static", "grant_type", "x", "a", "1"), Query: secrets("a", "2")}
		line, _, body := sent(t, r, Params{GrantType: "password", Values: secrets("scope", "own")})
		all := line + body
		if !strings.Contains(all, "own") || strings.Contains(all, "static") || strings.Count(all, "grant_type") != 1 {
			t.Errorf("%s: %s", in, all)
		}
		if in == "query" && strings.Count(line, "a=") != 1 {
			t.Errorf("a parameter is there twice: %s", line)
		}
	}
}

func TestEachGrantHasItsOwnRequest(t *testing.T) {
	s := answers(t, ok(goodBody))
	c := newClient(t, Config{TokenEndpoint: s.url("/t"), Requests: map[string]Request{
		"":              {ParamsIn: "query", ClientAuth: "none", Query: secrets("brand_key", "B")},
		"refresh_token": {ClientAuth: "none", Params: secrets("brandKey", "B")},
	}})
	for _, p := range []Params{{GrantType: "operator_password"}, {GrantType: "refresh_token", Values: secrets("refresh_token", "rt")}} {
		if _, err := c.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	first, second := s.seen()[0], s.seen()[1]
	if !strings.HasPrefix(first, "POST /t?brand_key=B&grant_type=operator_password HTTP/1.1\r\n") || !strings.HasSuffix(first, "Content-Length: 0\r\n\r\n") {
		t.Errorf("login:\n%s", first)
	}
	if !strings.HasPrefix(second, "POST /t HTTP/1.1\r\n") || !strings.HasSuffix(second, "\r\n\r\nbrandKey=B&grant_type=refresh_token&refresh_token=rt") {
		t.Errorf("refresh:\n%s", second)
	}
}

func TestConfiguredHeaders(t *testing.T) {
	_, headers, _ := sent(t, Request{ClientAuth: "none", Headers: secrets(
		"accept", "application/json, text/javascript", "X-RATOR-brand-key", "B", "Authorization", "Basic eDp5", "User-agent", "me")}, login())
	want := map[string]string{"accept": "application/json, text/javascript", "X-RATOR-brand-key": "B", "Authorization": "Basic eDp5", "User-agent": "me"}
	for name, value := range want {
		if headers[name] != value {
			t.Errorf("%s is %q", name, headers[name])
		}
	}
	if headers["Accept"] != "" || headers["User-Agent"] != "" {
		t.Errorf("defaults beside the configured ones: %v", headers)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	https := "https://as.example/token"
	for _, tc := range []struct {
		name, endpoint string
		r              Request
		want           string
	}{
		{"no scheme", "as.example/token", Request{}, "https"},
		{"ftp", "ftp://as.example/token", Request{}, "https"},
		{"no host", "https:///token", Request{}, "no host"},
		{"user", "https://u:canary@as.example/token", Request{}, "client_id"},
		{"fragment", https + "#x", Request{}, "fragment"},
		{"no URL", "https://as.example/%zz?canary", Request{}, "not a URL"},
		{"umlaut", "https://äs.example/token", Request{}, "ASCII"},
		{"plain http", "http://as.example/token?s=canary", Request{}, "allow_insecure_http"},
		{"plain http to a private address", "http://10.0.0.1/token", Request{}, "allow_insecure_http"},
		{"plain http to a name that looks like loopback", "http://localhost.example/token", Request{}, "allow_insecure_http"},
		{"method", https, Request{Method: "PUT"}, "method"},
		{"GET with a form", https, Request{Method: "GET", ParamsIn: "form"}, "params_in must be query"},
		{"place", https, Request{ParamsIn: "header"}, "params_in"},
		{"authentication", https, Request{ClientAuth: "private_key_jwt"}, "client_auth"},
		{"encoding", https, Request{BasicEncoding: "base64"}, "basic_encoding"},
		{"two authorizations", https, Request{Headers: secrets("authorization", "Basic canary")}, "client_secret_basic"},
		{"framing", https, Request{Headers: secrets("content-length", "1")}, "Content-Length"},
		{"idempotency key", https, Request{Headers: secrets("Idempotency-Key", "1")}, "Idempotency-Key"},
		{"smuggled header", https, Request{Headers: secrets("X-A", "b\r\nX-C: canary")}, "control character"},
		{"smuggled name", https, Request{Headers: secrets("X-A: b\r\nX-C", "d")}, "header name"},
		{"twice", https, Request{Headers: secrets("X-AB", "1", "x-ab", "2")}, "twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := New(Config{TokenEndpoint: tc.endpoint, Requests: map[string]Request{"": tc.r}})
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(tc.want)) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v, want one about %q", err, tc.want)
			}
		})
	}
	for _, good := range []string{https, "http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost/", "https://as.example"} {
		if _, err := New(Config{TokenEndpoint: good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if _, err := New(Config{TokenEndpoint: "http://as.example/", AllowInsecureHTTP: true}); err != nil {
		t.Error(err)
	}
}

func TestJSONBodyIsNotSentWithAnotherPassword(t *testing.T) {
	s := answers(t, ok(goodBody))
	c := newClient(t, Config{TokenEndpoint: s.url("/t"), Requests: map[string]Request{"": {ParamsIn: "json"}}})
	_, err := c.Send(t.Context(), Params{GrantType: "password", Values: secrets("password", "canary\xff")})
	failure(t, err, token.NotSent, "request")
	if s.conns.Load() != 0 {
		t.Error("something was sent")
	}
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := parseEndpoint(s, false)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestFormEncodingAgreesWithNetURL(t *testing.T) {
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	values := map[string]string{"a": all.String(), "b c": "", "ß": "x=y"}
	form := url.Values{}
	var pairs []pair
	for name := range maps.Keys(values) {
		form.Set(name, values[name])
	}
	for _, name := range []string{"a", "b c", "ß"} {
		pairs = append(pairs, pair{name, values[name]})
	}
	if got := string(appendForm(nil, pairs)); got != form.Encode() {
		t.Errorf("got  %s\nwant %s", got, form.Encode())
	}
}
