package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/token"
)

func TestEveryAnswerProtectsItsReader(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/problems", "/api/v1/tokens", "/api/v1/tokens/a", "/api/v1/tokens/none", "/nothing"} {
		h := ask(t, sourceOf("a"), "GET", path).Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		policy := h.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by other sites", path)
		}
	}
}

func TestNothingCanBeChanged(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/problems", "/api/v1/tokens", "/api/v1/tokens/a", "/api/v1/events"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} {
			if w := ask(t, sourceOf("a"), method, path); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow: %s", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
		if w := ask(t, sourceOf("a"), "HEAD", path); w.Code != 200 {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/index.html", "/assets/page.js", "/api", "/api/v1/", "/api/v1/tokens/", "/api/v1/tokens/a/b", "/debug/pprof/"} {
		if w := ask(t, sourceOf("a"), "GET", path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// A style or script that the policy does not know is one that does not run.
func TestThePolicyAllowsWhatIsInThePageAndNothingElse(t *testing.T) {
	t.Parallel()
	inline := regexp.MustCompile(`(?s)<(style|script)>(.*?)</(?:style|script)>`)
	for path, want := range map[string]int{"/": 2, "/problems": 1} {
		w := ask(t, sourceOf(), "GET", path)
		found := inline.FindAllStringSubmatch(w.Body.String(), -1)
		if len(found) != want {
			t.Errorf("%s has %d styles and scripts, not %d", path, len(found), want)
		}
		for _, m := range found {
			sum := sha256.Sum256([]byte(m[2]))
			allowed := m[1] + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
			if !strings.Contains(w.Header().Get("Content-Security-Policy"), allowed) {
				t.Errorf("%s: the policy does not allow its own %s", path, m[1])
			}
		}
		if hit := regexp.MustCompile(`(?i)\s(on[a-z]+|style)\s*=\s*["']|javascript:|https?://[^w]`).FindString(strip(w.Body.String(), found)); hit != "" {
			t.Errorf("%s holds %q", path, hit)
		}
	}
}

// strip takes scripts and styles out of a document.
func strip(body string, found [][]string) string {
	for _, m := range found {
		body = strings.ReplaceAll(body, m[0], "")
	}
	return body
}

func TestTokensAsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	s := sourceOf("a", "b")
	s.set(func(s *control.Status) {
		s.StartedAt = at
		s.Tokens[1].LastError = &token.Problem{At: at, Class: "rejected", Code: "E-17", Message: "refused: E-17"}
	})
	w := ask(t, s, "GET", "/api/v1/tokens")
	var got struct {
		Daemon struct{ Version string }
		Tokens []token.Status
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Daemon.Version != "v1" || len(got.Tokens) != 2 || got.Tokens[1].LastError.Code != "oauth_error" {
		t.Errorf("got %s", w.Body)
	}
	if w := ask(t, &source{}, "GET", "/api/v1/tokens"); !strings.Contains(w.Body.String(), `"tokens":[]`) {
		t.Errorf("without tokens the list is missing: %s", w.Body)
	}
	w = ask(t, s, "GET", "/api/v1/tokens/b")
	var one struct {
		Name     string
		Timeline []page.Moment
	}
	if err := json.Unmarshal(w.Body.Bytes(), &one); err != nil || one.Name != "b" || one.Timeline == nil {
		t.Errorf("%v: %s", err, w.Body)
	}
	if w := ask(t, s, "GET", "/api/v1/tokens/c"); w.Code != 404 || !strings.Contains(w.Body.String(), `"unknown_token"`) {
		t.Errorf("a token that is not configured: %d %s", w.Code, w.Body)
	}
}

func TestUnchangedTokensAreNotSentAgain(t *testing.T) {
	t.Parallel()
	s := sourceOf("a")
	tag := ask(t, s, "GET", "/api/v1/tokens").Header().Get("ETag")
	for _, asked := range []string{tag, `"other", W/` + tag, "*"} {
		if w := ask(t, s, "GET", "/api/v1/tokens", "If-None-Match", asked); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("If-None-Match: %s: %d with %d bytes", asked, w.Code, w.Body.Len())
		}
	}
	s.set(func(s *control.Status) { s.Tokens[0].Generation++ })
	if w := ask(t, s, "GET", "/api/v1/tokens", "If-None-Match", tag); w.Code != 200 || w.Header().Get("ETag") == tag {
		t.Errorf("after a change: %d", w.Code)
	}
}

// What a configuration's fault is said in may quote a line with a secret in it.
func TestNothingOfTheConfigurationIsShown(t *testing.T) {
	t.Parallel()
	s := sourceOf("a")
	s.set(func(s *control.Status) {
		s.Config = control.ConfigStatus{Paths: []string{"canary"}, Error: &token.Problem{Message: `client_secret = "canary"`}}
		s.State.Location = "canary"
	})
	for _, path := range []string{"/", "/api/v1/tokens", "/api/v1/tokens/a"} {
		body := ask(t, s, "GET", path).Body.String()
		if strings.Contains(body, "canary") {
			t.Errorf("%s shows what it must not", path)
		}
	}
	if body := ask(t, s, "GET", "/api/v1/tokens").Body.String(); !strings.Contains(body, `"code":"config"`) {
		t.Errorf("that the configuration is broken is not said: %s", body)
	}
}
