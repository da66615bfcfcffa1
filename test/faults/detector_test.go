package faults

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// canaries are secrets that were made for one test, and the detector of them.
type canaries struct {
	mu     sync.Mutex
	shapes map[string]string // what to look for, and what it is in words
}

func newCanaries() *canaries { return &canaries{shapes: map[string]string{}} }

// plant makes a secret that changes in every coding there is.
func (c *canaries) plant(what string) string {
	return c.watch(what, rand.Text()[:16]+`/+ &"%<é>`+rand.Text()[:16])
}

// plantToken makes one of the characters that RFC 6750 section 2.1 allows.
func (c *canaries) plantToken(what string) string {
	return c.watch(what, rand.Text()[:16]+"-._~+/"+rand.Text()[:16]+"==")
}

// plantHeader makes one that a header field can hold.
func (c *canaries) plantHeader(what string) string {
	return c.watch(what, rand.Text()[:16]+`/+ &"%<>`+rand.Text()[:16])
}

// watch has the detector look for a secret, or for half of it, in every shape.
func (c *canaries) watch(what, secret string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, part := range []struct{ name, text string }{{"", secret}, {"the beginning of ", secret[:12]}, {"the end of ", secret[len(secret)-12:]}} {
		for shape, text := range shapes(part.text) {
			c.shapes[text] = part.name + what + " " + shape
		}
	}
	return secret
}

// shapes are the ways in which a secret may come out.
func shapes(secret string) map[string]string {
	escaped, _ := json.Marshal(secret) // a string always marshals
	var unescaped bytes.Buffer
	e := json.NewEncoder(&unescaped)
	e.SetEscapeHTML(false)
	_ = e.Encode(secret)
	all := map[string]string{
		"as it is":              secret,
		"form-encoded":          url.QueryEscape(secret),
		"percent-encoded":       url.PathEscape(secret),
		"percent-encoded twice": url.QueryEscape(url.QueryEscape(secret)),
		"in HTML":               html.EscapeString(secret),
		"in JSON":               strings.Trim(string(escaped), `"`),
		"in JSON within JSON":   strings.Trim(strconv.Quote(strings.Trim(string(escaped), `"`)), `"`),
		"in JSON without HTML":  strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(unescaped.String()), `"`), `"`),
		"quoted":                strings.TrimSuffix(strings.TrimPrefix(strconv.Quote(secret), `"`), `"`),
		"in hexadecimal":        hex.EncodeToString([]byte(secret)),
		"in HEXADECIMAL":        strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"as numbers":            strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"),
	}
	for _, form := range []struct{ name, text string }{{"", secret}, {" of the form", url.QueryEscape(secret)}} {
		for skip := range 3 {
			all[fmt.Sprintf("in base64%s at %d", form.name, skip)] = within(base64.RawStdEncoding, form.text, skip)
			all[fmt.Sprintf("in base64url%s at %d", form.name, skip)] = within(base64.RawURLEncoding, form.text, skip)
		}
	}
	return all
}

// within is what base64 makes of a secret that stands behind skip bytes, without
// the characters that its neighbours have a part in.
func within(e *base64.Encoding, secret string, skip int) string {
	text := e.EncodeToString([]byte(strings.Repeat("\x00", skip) + secret))
	return text[(8*skip+5)/6 : 8*(skip+len(secret))/6]
}

// leaks says which secrets a text shows.
func (c *canaries) leaks(text []byte) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for shape, what := range c.shapes {
		if at := bytes.Index(text, []byte(shape)); at >= 0 {
			found = append(found, fmt.Sprintf("%s: …%q…", what, text[max(0, at-200):min(len(text), at+len(shape)+60)]))
		}
	}
	return found
}

// readable returns the files below dir that everybody may read and that show a
// secret, whatever the directories above them allow.
func (c *canaries) readable(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Mode()&0o004 == 0 {
			return err
		}
		content, err := os.ReadFile(path)
		for _, leak := range c.leaks(content) {
			found = append(found, path+": "+leak)
		}
		return err
	})
	return found, err
}

// A detector that misses a leak which was planted proves nothing.
func TestDetectorFindsPlantedLeaks(t *testing.T) {
	t.Parallel()
	c := newCanaries()
	secret := c.plant("the secret")
	quoted, _ := json.Marshal(map[string]string{"password": secret})
	twice, _ := json.Marshal(map[string]string{"message": string(quoted)})
	for name, text := range map[string]string{
		"as it is":           "error: " + secret + " is wrong",
		"cut at its end":     "error: " + secret[:14],
		"cut at its start":   "…" + secret[len(secret)-14:],
		"in a URL":           "GET /token?client_secret=" + url.QueryEscape(secret) + "&a=b",
		"in a path":          "GET /" + url.PathEscape(secret),
		"in a URL in a URL":  "/?next=" + url.QueryEscape("/?s="+url.QueryEscape(secret)),
		"in a JSON log":      string(quoted),
		"in JSON in JSON":    string(twice),
		"in a Go string":     fmt.Sprintf("%q", secret),
		"in a Go value":      fmt.Sprintf("%#v", struct{ s string }{secret}),
		"as bytes":           fmt.Sprintf("%d", []byte("x"+secret)),
		"in hexadecimal":     fmt.Sprintf("%x", "salt"+secret),
		"in HEXADECIMAL":     fmt.Sprintf("%X", "salt"+secret),
		"in HTML":            "<p>" + html.EscapeString(secret) + "</p>",
		"in base64 at 0":     base64.StdEncoding.EncodeToString([]byte("abc" + secret + "tail")),
		"in base64 at 1":     base64.StdEncoding.EncodeToString([]byte("abcd" + secret)),
		"in base64 at 2":     base64.RawStdEncoding.EncodeToString([]byte("abcde" + secret + "t")),
		"in base64url":       base64.URLEncoding.EncodeToString([]byte("ab" + secret + "tail")),
		"in unpadded":        base64.RawURLEncoding.EncodeToString([]byte("a" + secret)),
		"as Basic":           "Basic " + base64.StdEncoding.EncodeToString([]byte("client:"+secret)),
		"as RFC 6749's":      "Basic " + base64.StdEncoding.EncodeToString([]byte("client:"+url.QueryEscape(secret))),
		"its end in base64":  base64.StdEncoding.EncodeToString([]byte(secret[len(secret)-20:])),
		"its start in a URL": url.QueryEscape(secret[:18]),
	} {
		if len(c.leaks([]byte(text))) == 0 {
			t.Errorf("%s: not found in %s", name, text)
		}
	}
	if found := c.leaks([]byte("a log that says nothing of it, but [redacted]")); len(found) > 0 {
		t.Errorf("found what is not there: %q", found)
	}
}

func TestDetectorFindsWorldReadableFiles(t *testing.T) {
	t.Parallel()
	c, dir := newCanaries(), t.TempDir()
	secret := c.plant("the secret")
	for name, mode := range map[string]os.FileMode{"private": 0o600, "public": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	found, err := c.readable(dir)
	if err != nil || len(found) == 0 {
		t.Errorf("found %q, %v", found, err)
	}
	for _, leak := range found {
		if !strings.HasPrefix(leak, filepath.Join(dir, "public")) {
			t.Errorf("found %s", leak)
		}
	}
}
