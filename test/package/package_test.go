package packages

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/test/testbed"
)

// need skips a test where a command is missing, unless this is continuous
// integration, which is to have all of them.
func need(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			testbed.Missing(t, "%s is missing", c)
		}
	}
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func try(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// build makes packages for this machine's architecture in a directory of its own.
func build(t *testing.T, formats string) (dist string) {
	t.Helper()
	dist = filepath.Join(t.TempDir(), "dist")
	run(t, []string{"DIST=" + dist, "ARCHES=" + runtime.GOARCH, "FORMATS=" + formats}, "../../packaging/build.sh")
	return dist
}

func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

func TestPackages(t *testing.T) {
	need(t, "dpkg-deb", "git")
	sources := state(t)
	dist := build(t, "deb rpm")
	deb := only(t, dist, "*.deb")
	t.Run("checksums", func(t *testing.T) { checksums(t, dist) })
	t.Run("what is inside", func(t *testing.T) { inside(t, dist) })
	t.Run("same bytes again", func(t *testing.T) { again(t, dist, sources) })
	t.Run("lintian", func(t *testing.T) {
		need(t, "lintian")
		if out, err := try(t.Context(), nil, "lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", deb); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("rpm", func(t *testing.T) {
		need(t, "rpm")
		rpm(t, only(t, dist, "*.rpm"))
	})
	t.Run("a life", func(t *testing.T) {
		need(t, "mmdebstrap", "chroot")
		life(t, deb)
	})
}

func checksums(t *testing.T, dist string) {
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	cmd.Dir = dist
	out, err := cmd.CombinedOutput()
	files, _ := os.ReadDir(dist)
	if lines := strings.Count(string(out), ": OK\n"); err != nil || lines != len(files)-1 {
		t.Errorf("%d of %d files: %v\n%s", lines, len(files)-1, err, out)
	}
}

// inside compares the list of modules with what the go command wrote into the
// program, and looks for libraries that the program would load.
func inside(t *testing.T, dist string) {
	bin := only(t, dist, "tokend-*-linux-"+runtime.GOARCH)
	info, err := buildinfo.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat   string
		SpecVersion string
		Components  []struct{ Name, Version, PURL string }
	}
	text, err := os.ReadFile(only(t, dist, "*.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	var listed, linked []string
	for _, c := range bom.Components {
		listed = append(listed, c.Name+" "+c.Version)
	}
	linked = append(linked, "std "+strings.TrimPrefix(info.GoVersion, "go"))
	for _, m := range info.Deps {
		linked = append(linked, m.Path+" "+m.Version)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || !slices.Equal(listed, linked) {
		t.Errorf("%s %s lists %q, and %q is linked", bom.BOMFormat, bom.SpecVersion, listed, linked)
	}
	if out, err := try(t.Context(), nil, "ldd", bin); err == nil {
		t.Errorf("the program is not static:\n%s", out)
	}
	if out := run(t, nil, bin, "version"); !strings.Contains(out, "tokend") {
		t.Errorf("version: %s", out)
	}
}

// again builds a second time. Where somebody works on the sources meanwhile, it
// would compare different ones.
func again(t *testing.T, dist, sources string) {
	second := build(t, "deb rpm")
	if state(t) != sources {
		testbed.Missing(t, "the sources have changed since the first build")
	}
	first, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(filepath.Join(second, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(other) {
		t.Errorf("first\n%ssecond\n%s", first, other)
	}
}

// state is that of the sources.
func state(t *testing.T) string {
	t.Helper()
	return run(t, nil, "git", "rev-parse", "HEAD") + run(t, nil, "git", "diff", "HEAD") + run(t, nil, "git", "status", "--porcelain")
}

func rpm(t *testing.T, path string) {
	files := run(t, nil, "rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILENAMES} %{FILEFLAGS:fflags}\n]", path)
	for _, want := range []string{
		"-rwxr-xr-x /usr/bin/tokend", "-rw-r--r-- /usr/lib/systemd/system/tokend.service", "-rw-r----- /etc/tokend/tokend.hcl cn",
		"-rw-r--r-- /usr/lib/sysusers.d/tokend.conf", "-rw-r--r-- /usr/lib/tmpfiles.d/tokend.conf", "-rw-r--r-- /usr/share/man/man1/tokend.1.gz",
		"-rw-r--r-- /usr/share/licenses/tokend/LICENSE",
	} {
		if !strings.Contains(files, want) {
			t.Errorf("%q is missing in\n%s", want, files)
		}
	}
	if scripts := run(t, nil, "rpm", "-qp", "--scripts", path); strings.Count(scripts, "scriptlet") != 3 {
		t.Errorf("scripts: %s", scripts)
	}
}

// system is a Debian system in a directory.
type system struct {
	t    *testing.T
	root string
}

// sh runs a command in the system.
func (s system) sh(command string) string {
	s.t.Helper()
	return run(s.t, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}, "chroot", s.root, "sh", "-ec", command)
}

func (s system) write(path, text string) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// files lists what there is, with mode and owner, but not what every installation
// of a package changes.
func (s system) files() string {
	return s.sh(`find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/lib/dpkg -o -path /var/log -o -path /root -o -path /var/cache/ldconfig -o -path /run/systemd \) -prune -o ` +
		`! -name 'passwd*' ! -name 'group*' ! -name 'shadow*' ! -name 'gshadow*' ! -name '.pwd.lock' -printf '%p %M %u %g\n' | sort`)
}

// codename is that of this machine's release, of which the system will be too.
func codename(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(run(t, nil, "sh", "-c", `. /etc/os-release && echo "$VERSION_CODENAME"`))
}

// sources is where this machine has its packages from, so that the system has
// them from there too; mmdebstrap has a default.
func sources() []string {
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources"} {
		if content, err := os.ReadFile(pattern); err == nil && strings.Contains(string(content), "://") {
			return []string{pattern}
		}
	}
	return nil
}

// life is that of a package: installed, used, installed again, removed, purged.
func life(t *testing.T, deb string) {
	if os.Geteuid() != 0 {
		testbed.Missing(t, "to change roots takes root")
	}
	s := system{t, filepath.Join(t.TempDir(), "root")}
	run(t, nil, "mmdebstrap", append([]string{"--quiet", "--variant=minbase", "--include=systemd,procps", codename(t), s.root}, sources()...)...)
	before := s.files()
	content, err := os.ReadFile(deb)
	if err != nil {
		t.Fatal(err)
	}
	s.write("/root/tokend.deb", string(content))

	s.sh("dpkg -i /root/tokend.deb")
	want := "drwxr-x--- root tokend /etc/tokend\n-rw-r----- root tokend /etc/tokend/tokend.hcl\n"
	if got := s.sh(`stat -c '%A %U %G %n' /etc/tokend /etc/tokend/tokend.hcl`); got != want {
		t.Errorf("the configuration is\n%swant\n%s", got, want)
	}
	if got := s.sh("tokend validate"); !strings.Contains(got, "0 tokens") {
		t.Errorf("the package's own configuration: %s", got)
	}
	s.sh("systemd-analyze --man=no verify tokend.service")
	use(s)
	// A newer package keeps what was changed.
	s.sh("dpkg -i /root/tokend.deb")
	if got := s.sh("tokend validate"); !strings.Contains(got, "1 token,") {
		t.Errorf("after an upgrade: %s", got)
	}

	s.sh("dpkg --remove tokend")
	if got := s.sh("ls /etc/tokend; ls -d /var/lib/tokend; ls /usr/bin/tokend || true"); !strings.HasPrefix(got, "example.hcl\nexample.secret\ntokend.hcl\n/var/lib/tokend\nls: ") {
		t.Errorf("after the removal: %s", got)
	}
	s.sh("rm /etc/tokend/example.*") // what a person wrote is hers
	s.sh("dpkg --purge tokend")
	if after := s.files(); after != before {
		t.Errorf("the purge leaves\n%s", difference(before, after))
	}
	if got := s.sh("dpkg -l tokend || true"); strings.Contains(got, "tokend  ") {
		t.Errorf("dpkg remembers: %s", got)
	}
}

// use writes a configuration as an operator would, and judges it as the service's
// user, which reads the secret by its group alone.
func use(s system) {
	s.t.Helper()
	s.write("/etc/tokend/example.hcl", `
provider "example" {
  token_endpoint = "https://auth.example/oauth2/token"
  client_id      = "tokend"
  client_secret  = file("/etc/tokend/example.secret")
}
token "example" {
  provider = "example"
  grant "client_credentials" {}
  sink "file" {
    path = "/run/tokend/example/token"
  }
}
`)
	s.write("/etc/tokend/example.secret", "s3cret-of-the-example\n")
	s.sh("chgrp tokend /etc/tokend/example.*; chmod 0640 /etc/tokend/example.*")
	if got := s.sh("setpriv --reuid=tokend --regid=tokend --init-groups tokend validate"); !strings.Contains(got, "1 token,") || strings.Contains(got, "s3cret") {
		s.t.Errorf("validate: %s", got)
	}
	if got, err := try(s.t.Context(), nil, "chroot", s.root, "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "tokend", "validate"); err == nil {
		s.t.Errorf("anybody reads the configuration: %s", got)
	}
	s.sh("install -d -m 0700 -o tokend -g tokend /var/lib/tokend; touch /var/lib/tokend/state.db")
	if got := s.sh("tokend completion bash | cmp - /usr/share/bash-completion/completions/tokend; zcat /usr/share/man/man1/tokend.1.gz | head -n 1"); !strings.HasPrefix(got, ".TH TOKEND 1") {
		s.t.Errorf("completion and manual: %s", got)
	}
}

// difference lists the lines that are in one of two texts alone.
func difference(before, after string) string {
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out strings.Builder
	for _, l := range is {
		if !slices.Contains(was, l) {
			fmt.Fprintf(&out, "+ %s\n", l)
		}
	}
	for _, l := range was {
		if !slices.Contains(is, l) {
			fmt.Fprintf(&out, "- %s\n", l)
		}
	}
	return out.String()
}
