package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/image"
)

// volumes are what a container may write to, and its configuration.
type volumes struct {
	config, state, run string
}

func newVolumes(t *testing.T, config string) volumes {
	t.Helper()
	image.NeedRoot(t)
	dir := t.TempDir()
	v := volumes{filepath.Join(dir, "config"), filepath.Join(dir, "state"), filepath.Join(dir, "run")}
	for _, path := range []string{v.config, v.state, v.run} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		give(t, path)
	}
	for name, content := range map[string]string{"tokend.hcl": config, "client.secret": "s3cret\n"} {
		path := filepath.Join(v.config, name)
		if err := os.WriteFile(path, []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
		give(t, path)
	}
	return v
}

func give(t *testing.T, path string) {
	t.Helper()
	made := built(t)
	if err := os.Chown(path, int(made.UID), int(made.GID)); err != nil {
		t.Fatal(err)
	}
}

func (v volumes) container(t *testing.T, args ...string) image.Container {
	t.Helper()
	return image.Container{Image: built(t), Args: args, Mounts: []image.Mount{
		{Source: v.config, Target: "/etc/tokend", ReadOnly: true},
		{Source: v.state, Target: "/var/lib/tokend"},
		{Source: v.run, Target: "/run/tokend"},
	}}
}

func config(endpoint, sink string) string {
	return fmt.Sprintf(`
provider "example" {
  token_endpoint = "%s/token"
  client_id      = "c"
  client_secret  = file("client.secret")
}
token "example" {
  provider = "example"
  grant "client_credentials" {}
  sink "file" {
    path = "%s"
  }
}
`, endpoint, sink)
}

const sink = "/run/tokend/token"

func TestVersionAndValidateNeedNothing(t *testing.T) {
	t.Parallel()
	v := newVolumes(t, config("https://auth.example", sink))
	if out, code := v.container(t, "version").Run(t); code != 0 || !strings.HasPrefix(out, "tokend ") {
		t.Errorf("version ended with %d: %s", code, out)
	}
	if out, code := v.container(t, "validate").Run(t); code != 0 {
		t.Errorf("validate ended with %d: %s", code, out)
	}
	broken := newVolumes(t, "token \"example\" {}\n")
	if out, code := broken.container(t, "validate").Run(t); code != 3 {
		t.Errorf("validate of a fault ended with %d: %s", code, out)
	}
}

func TestOnceTrustsTheAuthoritiesThatWereCopiedIn(t *testing.T) {
	t.Parallel()
	endpoint := serve(t, shop.authority)
	v := newVolumes(t, config(endpoint, sink))
	if out, code := v.container(t, "once").Run(t); code != 0 {
		t.Fatalf("once ended with %d: %s", code, out)
	}
	content, err := os.ReadFile(filepath.Join(v.run, "token"))
	if err != nil || string(content) != accessToken {
		t.Fatalf("%q, %v", content, err)
	}
}

func TestOnceTrustsNoOtherAuthority(t *testing.T) {
	t.Parallel()
	stranger, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	v := newVolumes(t, config(serve(t, stranger), sink))
	out, code := v.container(t, "once", "--timeout=5s").Run(t)
	if code != 1 || !strings.Contains(out, "certificate") {
		t.Fatalf("once ended with %d: %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(v.run, "token")); err == nil {
		t.Fatal("there is a token")
	}
}

func TestRootIsReadOnly(t *testing.T) {
	t.Parallel()
	v := newVolumes(t, config(serve(t, shop.authority), "/tmp/token"))
	out, code := v.container(t, "once", "--timeout=5s").Run(t)
	if code != 1 || !strings.Contains(out, "read-only file system") {
		t.Fatalf("once ended with %d: %s", code, out)
	}
}

func TestHealthcheckTellsADaemonWithItsTokensFromNone(t *testing.T) {
	t.Parallel()
	v := newVolumes(t, config(serve(t, shop.authority), sink))
	c := v.container(t)
	if out, code := c.Healthy(t); code != 4 {
		t.Fatalf("without a daemon it ended with %d: %s", code, out)
	}
	daemon := c.Start(t)
	out, code := v.container(t, "wait", "--timeout=30s", "--config=/etc/tokend").Run(t)
	for deadline := time.Now().Add(20 * time.Second); code == 4 && time.Now().Before(deadline) && daemon.Running(); {
		time.Sleep(50 * time.Millisecond) // until the daemon listens
		out, code = v.container(t, "wait", "--timeout=30s").Run(t)
	}
	if code != 0 {
		t.Fatalf("wait ended with %d: %s", code, out)
	}
	if out, code := c.Healthy(t); code != 0 || !strings.Contains(out, "example") {
		t.Fatalf("with a fresh token it ended with %d: %s", code, out)
	}
}
