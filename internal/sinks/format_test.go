package sinks_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

func sample() token.Token {
	issued := time.Date(2026, 1, 2, 3, 4, 5, 999, time.FixedZone("", 3600))
	return token.Token{
		Generation:  7,
		AccessToken: token.NewSecret("ab-._~+/12=="),
		TokenType:   "bearer",
		Scope:       "user password",
		IssuedAt:    issued,
		ExpiresAt:   issued.Add(time.Hour + 700*time.Millisecond),
	}
}

func TestFormats(t *testing.T) {
	for _, test := range []struct {
		name    string
		options sinks.FormatOptions
		want    string
	}{
		{"token", sinks.FormatOptions{}, "ab-._~+/12=="},
		{"json", sinks.FormatOptions{}, `{"access_token":"ab-._~+/12==","token_type":"bearer","scope":"user password",` +
			`"expires_at":"2026-01-02T03:04:05Z","expires_in":3600,"generation":7}` + "\n"},
		{"header", sinks.FormatOptions{}, "Authorization: Bearer ab-._~+/12==\n"},
		{"env", sinks.FormatOptions{}, "TOKEND_ACCESS_TOKEN='ab-._~+/12=='\nTOKEND_EXPIRES_AT='2026-01-02T03:04:05Z'\n"},
		{"env", sinks.FormatOptions{Variable: "RATOR"}, "RATOR='ab-._~+/12=='\nRATOR_EXPIRES_AT='2026-01-02T03:04:05Z'\n"},
		{"netrc", sinks.FormatOptions{Machine: "api.example"}, "machine api.example\nlogin oauth2\npassword ab-._~+/12==\n"},
		{"netrc", sinks.FormatOptions{Machine: "api.example", Login: "me"}, "machine api.example\nlogin me\npassword ab-._~+/12==\n"},
	} {
		f, err := sinks.NewFormat(test.name, test.options)
		if err != nil {
			t.Errorf("NewFormat(%s): %v", test.name, err)
			continue
		}
		got, err := f.Render(sample())
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if string(got) != test.want {
			t.Errorf("%s renders %q, want %q", test.name, got, test.want)
		}
	}
}

// A file that is compared before it is written must not age.
func TestRenderingDoesNotDependOnNow(t *testing.T) {
	for _, name := range sinks.FormatNames() {
		f, err := sinks.NewFormat(name, sinks.FormatOptions{Machine: "m", Registry: "r"})
		if err != nil {
			t.Fatal(err)
		}
		one, err1 := f.Render(sample())
		moved := sample()
		moved.ExpiresAt, moved.IssuedAt = moved.ExpiresAt.UTC(), moved.IssuedAt.Local()
		two, err2 := f.Render(moved)
		if err1 != nil || err2 != nil || string(one) != string(two) {
			t.Errorf("%s: %q, %v and %q, %v", name, one, err1, two, err2)
		}
	}
}

// An access token may hold any visible ASCII character although RFC 6750 names
// fewer; a shell must give it back as it was.
func TestEnvSurvivesAShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell here")
	}
	var all strings.Builder
	for c := '!'; c <= '~'; c++ {
		all.WriteRune(c)
	}
	tok := sample()
	tok.AccessToken = token.NewSecret(all.String())
	f, err := sinks.NewFormat("env", sinks.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	content, err := f.Render(tok)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), sh, "-c", `. "$1" && printf %s "$TOKEND_ACCESS_TOKEN"`, "sh", path).Output()
	if err != nil || string(out) != all.String() {
		t.Errorf("the shell read %q, %v; want %q", out, err, all.String())
	}
}

func TestJSONSurvivesOddCharacters(t *testing.T) {
	tok := sample()
	tok.AccessToken, tok.Scope = token.NewSecret(`a"b\c<d>&e`), "\u2028\"\n"
	f, err := sinks.NewFormat("json", sinks.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	content, err := f.Render(tok)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		AccessToken string `json:"access_token"`
		Scope       string `json:"scope"`
	}
	if err := json.Unmarshal(content, &got); err != nil || got.AccessToken != `a"b\c<d>&e` || got.Scope != tok.Scope {
		t.Errorf("read back %+v, %v", got, err)
	}
}

// Output is encoded for where it goes, and refused where it cannot be: a newline
// in a token must not become a second header or a second line.
func TestSmuggledCharactersAreRefused(t *testing.T) {
	for _, value := range []string{"canary\r\nX-Admin: 1", "canary token", "canary\x00", "canary\u00e9", ""} {
		for _, name := range []string{"header", "env", "netrc", "dockerconfigjson", "kubeconfig", "exec-credential"} {
			f, err := sinks.NewFormat(name, sinks.FormatOptions{Machine: "m", Registry: "r"})
			if err != nil {
				t.Fatal(err)
			}
			tok := sample()
			tok.AccessToken = token.NewSecret(value)
			content, err := f.Render(tok)
			if err == nil {
				t.Errorf("%s renders %q as %q", name, value, content)
			} else if strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: the error %q holds the token", name, err)
			}
		}
	}
}

func TestFormatOptionsThatCannotWork(t *testing.T) {
	for _, test := range []struct {
		name    string
		options sinks.FormatOptions
	}{
		{"yaml", sinks.FormatOptions{}},
		{"", sinks.FormatOptions{}},
		{"env", sinks.FormatOptions{Variable: "1X"}},
		{"env", sinks.FormatOptions{Variable: "X;reboot"}},
		{"netrc", sinks.FormatOptions{}},
		{"netrc", sinks.FormatOptions{Machine: "a b"}},
		{"netrc", sinks.FormatOptions{Machine: "a", Login: "b\nmachine c"}},
		{"dockerconfigjson", sinks.FormatOptions{}},
		{"dockerconfigjson", sinks.FormatOptions{Registry: "a b"}},
		{"dockerconfigjson", sinks.FormatOptions{Registry: "r", Username: "a:b"}},
		{"kubeconfig", sinks.FormatOptions{User: "a\nb"}},
	} {
		if _, err := sinks.NewFormat(test.name, test.options); err == nil {
			t.Errorf("NewFormat(%q, %+v) returned nil", test.name, test.options)
		}
	}
}
