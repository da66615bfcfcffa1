package devserver

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

func TestTokensSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.json")
	before := newRig(t, Options{StatePath: path})
	held := map[API]got{}
	spent := map[API]string{}
	for api, l := range logins() {
		first := before.granted(t, l.login)
		spent[api] = first.text("refresh_token")
		held[api] = before.granted(t, l.refresh(spent[api]))
	}
	// No Close: a killed server must not have forgotten either.
	after := newRig(t, Options{StatePath: path})
	for api, l := range logins() {
		if !after.live(t, api, held[api].text("access_token")) {
			t.Errorf("%s: the access token is dead after a restart", api)
		}
		next := after.granted(t, l.refresh(held[api].text("refresh_token")))
		if api == GreyMatter {
			continue
		}
		if g := after.do(t, l.refresh(spent[api])); g.status != http.StatusBadRequest {
			t.Errorf("%s: a refresh token spent before the restart brought %d", api, g.status)
		}
		if c := after.Stats().Of(api); c.Reuses != 1 || after.live(t, api, next.text("access_token")) {
			t.Errorf("%s: the reuse went unnoticed: %+v", api, c)
		}
	}
}

func TestStateFileIsPrivateAndHoldsNoToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.json")
	r := newRig(t, Options{StatePath: path})
	g := r.granted(t, ratorLogin())
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"access_token", "refresh_token"} {
		if bytes.Contains(text, []byte(g.text(name))) {
			t.Errorf("the state file holds the %s", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".devserver-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDamagedStateIsPutAside(t *testing.T) {
	for name, content := range map[string]string{
		"torn": `{"version":1,"families":[{"api":"rat`, "of another version": `{"version":99}`, "with a bad digest": `{"version":1,"families":[{"refresh":"zz"}]}`, "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			newRig(t, Options{StatePath: path}).granted(t, ratorLogin())
			kept, err := os.ReadFile(path + ".damaged")
			if err != nil || string(kept) != content {
				t.Errorf("the damaged file was not kept: %q, %v", kept, err)
			}
		})
	}
}

func TestUnwritableStateIsToldAtClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	r := newRig(t, Options{StatePath: filepath.Join(dir, "server.json")})
	r.granted(t, ratorLogin())
	if err := r.Close(); err == nil {
		t.Error("Close knows of no failure")
	}
	if _, err := New(Options{StatePath: t.TempDir()}); err == nil {
		t.Error("a directory was read as state")
	}
}

func TestFailureToWriteIsMadeGoodAtClose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "late")
	r := newRig(t, Options{StatePath: filepath.Join(dir, "server.json")})
	g := r.granted(t, ratorLogin())
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if !newRig(t, Options{StatePath: r.options.StatePath}).live(t, Rator, g.text("access_token")) {
		t.Error("the token was not stored")
	}
}
