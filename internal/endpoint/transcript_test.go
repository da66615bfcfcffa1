package endpoint

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// transcript is a request as it must be on the wire, and the answer to it.
func transcript(t *testing.T, name string) (request, response string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "transcripts", name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	content := string(raw)
	for strings.HasPrefix(content, "#") {
		_, content, _ = strings.Cut(content, "\n")
	}
	request, response, ok := strings.Cut(content, "\n----\n")
	if !ok {
		t.Fatalf("%s: no line of dashes", name)
	}
	return wire(request), answerLength(wire(response))
}

// wire gives a head its line ends.
func wire(message string) string {
	head, body, _ := strings.Cut(message+"\n", "\n\n")
	return strings.ReplaceAll(strings.TrimSuffix(head, "\n"), "\n", "\r\n") + "\r\n\r\n" + strings.TrimSuffix(body, "\n")
}

func answerLength(message string) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	if strings.Contains(head, "Content-Length") {
		return head + "\r\n\r\n"
	}
	return fmt.Sprintf("%s\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

func TestTranscripts(t *testing.T) {
	musement := Request{Method: "GET", ClientAuth: "client_secret_post", Headers: secrets("X-Musement-Application", "web", "X-Musement-Version", "3.4.0")}
	bare := Request{Method: "GET", ClientAuth: "client_secret_post"}
	greymatter := Request{BasicEncoding: "raw", Headers: secrets("Accept", "application/json, text/javascript")}
	rator := Request{ParamsIn: "query", BasicEncoding: "raw", Query: secrets("brand_key", "BRAND1")}
	ratorRefresh := Request{BasicEncoding: "raw", Params: secrets("brandKey", "BRAND1")}
	app := func(grant string, values ...string) Params {
		return Params{GrantType: grant, ClientID: "app", ClientSecret: token.NewSecret("app-secret"), Values: secrets(values...)}
	}
	upstream := Params{GrantType: "password", ClientID: "butler", ClientSecret: token.NewSecret("butler"), Values: secrets("username", "upstream 1", "password", "upstream")}
	raw := func(grant string, values ...string) Params {
		return Params{GrantType: grant, ClientID: "myclientid", ClientSecret: token.NewSecret("my%client"), Values: secrets(values...)}
	}
	plain := Params{GrantType: "refresh_token", ClientID: "id", ClientSecret: token.NewSecret("secret"), Values: secrets("refresh_token", "rt-1")}
	const rt = "0a3ff8a4-9d0e-4a3c-8c65-d4a0d1c0f3c1"
	for _, tc := range []struct {
		name, path string
		request    Request
		params     Params
		want       string // access token, refresh token, scope, lifetime; or class, code, description
	}{
		{"musement-client-credentials", "/api/v3/login", musement, app("client_credentials"), "MWFkZWE5YWUyZTZiNzM3NzFj||| 1h0m0s"},
		{"musement-password", "/api/v3/login", musement, app("password", "username", "jane@example.com", "password", "p@ss word"),
			"MWFkZWE5YWUyZTZiNzM3NzFj|NWU4ZjcyMzA0ZTVhM2JjY2My|user password| 1h0m0s"},
		{"musement-refresh", "/api/v3/login", musement, app("refresh_token", "refresh_token", "NWU4ZjcyMzA0ZTVhM2JjY2My"),
			"ZDgyM2E2ZWQ0YWFmNDQ1NTM4|OGFmMWMzZWRkODA5YmVhOTc2|user password| 1h0m0s"},
		{"musement-post-json", "/api/v3/login", Request{ParamsIn: "json", ClientAuth: "client_secret_post"}, app("client_credentials", "x", "y"),
			"MWFkZWE5YWUyZTZiNzM3NzFj||| 1h0m0s"},
		{"musement-no-application", "/api/v3/login", bare, app("client_credentials"), "rejected|2271|The X-Musement-Application header is missing"},
		{"greymatter-password", "/api-gateway/auth-service/platform-auth/oauth/token", greymatter, upstream,
			"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzY29wZSI6WyJvcGVuaWQiXSwiZXhwIjoxNTI2MjQyOTkxfQ.c2ln|another_large_token_string|openid| 11h59m59s"},
		{"greymatter-url-parameters", "/api-gateway/auth-service/platform-auth/oauth/token", Request{ParamsIn: "query"}, upstream, "rejected||"},
		{"greymatter-xml", "/api-gateway/auth-service/platform-auth/oauth/token", Request{Headers: secrets("Accept", "*/*")}, upstream, "misconfigured||"},
		{"rator-password", "/appcontext/oauth/token", rator, raw("password", "username", "myusername", "password", "mypassword"),
			"2acda61f-cf4f-42be-8561-563b5db7840f|" + rt + "|| 29m59s"},
		{"rator-operator-password", "/appcontext/oauth/token", rator, raw("operator_password", "username", "myusername", "password", "mypassword"),
			`rejected|unauthorized|Bad credentials for \x1b[31m[redacted]`},
		{"rator-refresh", "/appcontext/oauth/token", ratorRefresh, raw("refresh_token", "refresh_token", rt), "9b2e4a51-cf4f-42be-8561-563b5db7840f||| 30m0s"},
		{"hydra-expires-in-zero", "/token", Request{}, plain, "ory_at_x.y|ory_rt_x.y|| 0s"},
		{"invalid-request-for-a-dead-refresh-token", "/token", Request{}, plain, "rejected|invalid_request|unknown token"},
		{"html-500", "/token", Request{}, plain, "ambiguous||"},
		{"empty-400", "/token", Request{}, plain, "rejected||"},
		{"error-with-200", "/token", Request{}, plain, "rejected|invalid_grant|expired"},
		{"form-encoded-success", "/token", Request{}, plain, "at-2|rt-2|| 1440h0m0s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			request, response := transcript(t, tc.name)
			s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
				if _, err := s.read(r); err == nil {
					io.WriteString(c, response)
				}
			})
			c := newClient(t, Config{TokenEndpoint: s.url(tc.path), Requests: map[string]Request{"": tc.request}})
			before := time.Now().Round(0)
			a, err := c.Send(t.Context(), tc.params)
			want := strings.Replace(request, "{host}", s.Addr().String(), 1)
			if got := s.seen(); len(got) != 1 || got[0] != want {
				t.Errorf("sent\n%q\nwant\n%q", got, want)
			}
			if got := summary(t, a, err); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if err == nil && (a.IssuedAt.Before(before) || a.IssuedAt.After(time.Now())) {
				t.Errorf("issued at %v", a.IssuedAt)
			}
		})
	}
}

func summary(t *testing.T, a token.Answer, err error) string {
	if err == nil {
		return fmt.Sprintf("%s|%s|%s| %v", a.AccessToken.Reveal(), a.RefreshToken.Reveal(), a.Scope, a.ExpiresAt.Sub(a.IssuedAt))
	}
	f := failureOf(t, err)
	return fmt.Sprintf("%v|%s|%s", f.Class, f.Code, f.Description)
}

func TestEveryTranscriptIsReplayed(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.http")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("transcript_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".http"); !strings.Contains(string(source), `{"`+name+`"`) {
			t.Errorf("%s is replayed by no test", file)
		}
	}
}
