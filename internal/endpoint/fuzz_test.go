package endpoint

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// The canaries are what the request sent. A server may say them back in any
// place; no error may.
var canaries = [...]string{"client-secret-canary", "refresh-token-canary", "pass word+canary"}

// FuzzAnswer puts any answer before the judge. It holds that judge to what
// matters most: a refresh token that a plain decoder finds is never dropped, an
// access token that is accepted is harmless, and an error tells no secret.
func FuzzAnswer(f *testing.F) {
	files, err := filepath.Glob("testdata/transcripts/*.http")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, response, _ := strings.Cut(string(raw), "\n----\n")
		head, body, _ := strings.Cut(response, "\n\n")
		for _, status := range []int{200, 400, 503} {
			f.Add(status, "application/json", body, strings.Contains(head, "refresh"))
		}
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string, refresh bool) {
		if len(body) > maxBody {
			return
		}
		j := &judge{names: Response{}.withDefaults(), refresh: refresh, hidden: func() []string { return canaries[:] }}
		r := &response{issued: issued, status: status, header: http.Header{"Content-Type": {contentType}}, body: []byte(body)}
		a, failure := j.judge(r)
		if want, ok := plainRefreshToken(status, body); ok && a.RefreshToken.Reveal() != want {
			t.Errorf("refresh token is %q, a plain decoder finds %q", a.RefreshToken.Reveal(), want)
		}
		if failure == nil {
			accepted(t, a)
			return
		}
		refused(t, a, failure)
	})
}

// plainRefreshToken is encoding/json's view of a 2xx, where that view is the
// only one: no key is there twice, in whatever spelling.
func plainRefreshToken(status int, body string) (string, bool) {
	body = strings.TrimSpace(strings.TrimPrefix(body, "\uFEFF"))
	if status/100 != 2 || !strings.HasPrefix(body, "{") {
		return "", false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &fields) != nil {
		return "", false
	}
	var s string
	if json.Unmarshal(fields["refresh_token"], &s) != nil || s == "" || strings.Trim(s, vschars) != "" {
		return "", false
	}
	return s, countKeys(body) == len(fields)
}

const vschars = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// countKeys counts the members of an object that is known to be well-formed.
func countKeys(body string) int {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return -1
	}
	n := 0
	for ; d.More(); n++ {
		var skipped json.RawMessage
		if _, err := d.Token(); err != nil {
			return -1
		}
		if err := d.Decode(&skipped); err != nil {
			return -1
		}
	}
	return n
}

func accepted(t *testing.T, a token.Answer) {
	access := a.AccessToken.Reveal()
	if access == "" || strings.Trim(access, vschars) != "" || strings.ContainsAny(access, " \"\\") {
		t.Errorf("access token %q was accepted", access)
	}
	if !strings.EqualFold(a.TokenType, "bearer") {
		t.Errorf("token type %q was accepted", a.TokenType)
	}
	if strings.Trim(a.Scope, vschars) != "" || strings.ContainsAny(a.Scope, "\"\\") {
		t.Errorf("scope %q was accepted", a.Scope)
	}
	if d := a.ExpiresAt.Sub(a.IssuedAt); d > maxLifetime || d < -2*maxLifetime {
		t.Errorf("lifetime %v", d)
	}
}

func refused(t *testing.T, a token.Answer, f *token.Failure) {
	if f.Class < token.NotSent || f.Class > token.Misconfigured || f.Class == token.NotSent || f.Reason == "" {
		t.Errorf("class %v, reason %q", f.Class, f.Reason)
	}
	if !a.AccessToken.IsEmpty() {
		t.Error("an access token came with a failure")
	}
	if f.RetryAfter < 0 || f.RetryAfter > time.Hour || len(f.Code) > 64 || len(f.Description) > 256 {
		t.Errorf("out of bounds: %v, %d, %d", f.RetryAfter, len(f.Code), len(f.Description))
	}
	for _, canary := range canaries {
		if strings.Contains(f.Error(), canary) {
			t.Errorf("error shows %q: %v", canary, f)
		}
	}
	if strings.ContainsFunc(f.Error(), control) {
		t.Errorf("control characters in %q", f.Error())
	}
}
