package endpoint

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func TestClassesByMeaning(t *testing.T) {
	const (
		R = token.Rejected
		M = token.Misconfigured
		T = token.Transient
		A = token.Ambiguous
	)
	for _, tc := range []struct {
		name           string
		status         int
		body           string
		login, refresh token.Class
		code           string
	}{
		{"invalid_grant", 400, `{"error":"invalid_grant"}`, R, R, "invalid_grant"},
		{"invalid_grant with 200", 200, `{"error":"invalid_grant","error_description":"x"}`, R, R, "invalid_grant"},
		{"invalid_grant with 401", 401, `{"error":"invalid_grant"}`, R, R, "invalid_grant"},
		{"invalid_grant in a form", 400, `error=invalid_grant&error_description=no+more`, R, R, "invalid_grant"},
		{"invalid_client", 401, `{"error":"invalid_client"}`, M, M, "invalid_client"},
		{"invalid_client with 400", 400, `{"error":"invalid_client"}`, M, M, "invalid_client"},
		{"unauthorized_client", 400, `{"error":"unauthorized_client"}`, M, M, "unauthorized_client"},
		{"unsupported_grant_type", 400, `{"error":"unsupported_grant_type"}`, M, R, "unsupported_grant_type"},
		{"invalid_scope", 400, `{"error":"invalid_scope"}`, M, R, "invalid_scope"},
		{"invalid_request for a dead refresh token", 400, `{"error":"invalid_request"}`, M, R, "invalid_request"},
		{"Spring's unauthorized", 401, `{"error":"unauthorized","error_description":"Full authentication is required"}`, R, R, "unauthorized"},
		{"a code of its own", 400, `{"error":"account_locked"}`, R, R, "account_locked"},
		{"Musement's missing header", 400, `{"code":"2271","message":"Application is missing"}`, R, R, "2271"},
		{"numeric code", 400, `{"code":2271}`, R, R, "2271"},
		{"error as an object", 401, `{"error":{"code":401,"status":"UNAUTHENTICATED","message":"no"}}`, R, R, "401"},
		{"empty 400", 400, ``, R, R, ""},
		{"empty 401", 401, ``, R, R, ""},
		{"403 for a wrong secret", 403, `<html>Forbidden</html>`, R, R, ""},
		{"404 page", 404, `<html>Not Found</html>`, M, M, ""},
		{"404 with fields", 404, `{"message":"no such refresh token"}`, R, R, ""},
		{"405", 405, ``, M, M, ""},
		{"415", 415, ``, M, M, ""},
		{"408", 408, ``, T, T, ""},
		{"425", 425, ``, T, T, ""},
		{"429", 429, `slow down`, T, T, ""},
		{"429 with a code", 429, `{"error":"invalid_grant"}`, T, T, "invalid_grant"},
		{"temporarily_unavailable", 503, `{"error":"temporarily_unavailable"}`, T, T, "temporarily_unavailable"},
		{"temporarily_unavailable with 400", 400, `{"error":"temporarily_unavailable"}`, T, T, "temporarily_unavailable"},
		{"server_error", 400, `{"error":"server_error"}`, A, A, "server_error"},
		{"server_error with 200", 200, `{"error":"server_error"}`, A, A, "server_error"},
		{"HTML 500", 500, `<html>oops</html>`, A, A, ""},
		{"500 is never a reason to log in again", 500, `{"error":"invalid_grant"}`, A, A, "invalid_grant"},
		{"502", 502, ``, A, A, ""},
		{"503", 503, ``, A, A, ""},
		{"504", 504, ``, A, A, ""},
		{"error true", 200, `{"error":true,"message":"no"}`, R, R, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for refresh, want := range map[bool]token.Class{false: tc.login, true: tc.refresh} {
				a, f := judged(Response{}, refresh, tc.status, "", tc.body)
				if f == nil || f.Class != want || f.Code != tc.code || f.Status != tc.status || !a.RefreshToken.IsEmpty() {
					t.Errorf("refresh %t: %v, want %v", refresh, f, want)
				}
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "1.5": 1500 * time.Millisecond, "-5": 0, "soon": 0,
		"3600": time.Hour, "86400": time.Hour, "99999999999999999999999": time.Hour, "1e400": time.Hour, "NaN": 0, "0x10": 0,
		"Fri, 01 May 2026 12:00:30 GMT":  30 * time.Second,
		"Friday, 01-May-26 12:00:30 GMT": 30 * time.Second,
		"Fri, 01 May 2026 11:00:00 GMT":  0,
		"Fri, 01 May 2099 12:00:00 GMT":  time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestRetryAfterComesWithTheFailure(t *testing.T) {
	for status, class := range map[string]token.Class{"429 Too Many Requests": token.Transient, "503 Service Unavailable": token.Ambiguous} {
		s := answers(t, "HTTP/1.1 "+status+"\r\nRetry-After: 12\r\nContent-Length: 0\r\n\r\n")
		_, err := newClient(t, Config{TokenEndpoint: s.url("/")}).Send(t.Context(), refresh())
		if f := failure(t, err, class, "http_status"); f.RetryAfter != 12*time.Second {
			t.Errorf("%s: %v", status, f.RetryAfter)
		}
	}
}

// A refusal whose body breaks off is still the refusal that its status says.
func TestRefusalWithABrokenBodyKeepsItsClass(t *testing.T) {
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 500\r\n\r\n{\"error\":")
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/")})
	_, err := c.Send(t.Context(), refresh())
	failure(t, err, token.Rejected, "http_status")
}

func TestServersWordsAreMadeHarmless(t *testing.T) {
	long := strings.Repeat("é", 300)
	for _, tc := range []struct{ name, in, want string }{
		{"ANSI", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"newline", "a\nlevel=error msg=forged", `a\nlevel=error msg=forged`},
		{"bidi override", "a\u202Eb", `a\u202eb`},
		{"bad UTF-8", "a\xffb", `a\xffb`},
		{"NUL", "a\x00", `a\x00`},
		{"words", "Ungültiges Kennwort", "Ungültiges Kennwort"},
		{"long", long, strings.Repeat("é", 128)},
		{"raw", "token refresh-token-canary is dead", "token [redacted] is dead"},
		{"twice", "refresh-token-canary, refresh-token-canary", "[redacted], [redacted]"},
		{"client secret", "client-secret-canary", "[redacted]"},
		{"percent-encoded", "bad request: /t?p=p%C3%A4ss%20canary&x=1", "[redacted]"},
		{"percent-encoded twice", "p%25C3%25A4ss%2520canary", "[redacted]"},
		{"percent-encoded in a broken URL", "100% of p%c3%a4ss+canary", "[redacted]"},
		{"base64", "cMOkc3MgY2FuYXJ5", "[redacted]"},
		{"Basic credentials", "header was aWQ6Y2xpZW50LXNlY3JldC1jYW5hcnk=", "[redacted]"},
		{"hexadecimal", "got 70C3A4737320" + "63616e617279", "[redacted]"},
		{"in JSON", `got {"p":"p\u00e4ss canary"}`, "[redacted]"},
		{"in JSON in JSON", `{"m":"{\"p\":\"p\\u00e4ss canary\"}"}`, "[redacted]"},
		{"in HTML", "got p&auml;ss canary", "[redacted]"},
		{"short one alone", "user op is locked", "user [redacted] is locked"},
		{"short one in a word", "operator is locked", "operator is locked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tmpl, err := newTemplate(mustParse(t, "https://as.example/t"), Request{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			p := refresh()
			p.Values = secrets("refresh_token", "refresh-token-canary", "password", "päss canary", "username", "op", "scope", "words")
			if got := clean(tc.in, tmpl.secrets(p), 256); !strings.HasPrefix(got, tc.want) || len(got) > len(tc.want)+8 {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestErrorsShowNoSecretThatTheServerRepeats(t *testing.T) {
	body := `{"error":"bad client-secret-canary","error_description":"refresh-token-canary: at-canary","access_token":"at-canary","refresh_token":"rt-canary"}`
	for _, status := range []string{"200 OK", "400 Bad Request", "500 Internal Server Error"} {
		s := answers(t, reply(status, "application/json", body))
		a, err := newClient(t, Config{TokenEndpoint: s.url("/")}).Send(t.Context(), refresh())
		f := failureOf(t, err)
		if strings.Contains(f.Error(), "canary") {
			t.Errorf("%s: %v", status, f)
		}
		if status == "200 OK" && a.RefreshToken.Reveal() != "rt-canary" {
			t.Error("the refresh token is lost")
		}
	}
}

func TestCodeAndDescriptionAreBounded(t *testing.T) {
	long := strings.Repeat("x", 5000)
	_, f := judged(Response{}, true, 400, "", `{"error":"`+long+`","error_description":"`+long+`"}`)
	if len(f.Code) != 64 || len(f.Description) != 256 {
		t.Errorf("%d and %d bytes", len(f.Code), len(f.Description))
	}
}
