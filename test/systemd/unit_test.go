package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/test/testbed"
)

const units = "../../manifests/systemd/"

// mostExposed is the score that systemd-analyze may give, ten times over.
const mostExposed = "15"

// analyze runs systemd-analyze where it is; continuous integration is to have it.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		testbed.Missing(t, "systemd-analyze is missing: apt-get install systemd")
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
	return string(out), err
}

// unit copies the service into a directory, with the program that was built here
// instead of the installed one, and with drop-ins.
func unit(t *testing.T, dropIns ...string) string {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(units + "tokend.service")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(content), "ExecStart=/usr/bin/tokend ", "ExecStart="+binary+" ")
	for _, name := range dropIns {
		more, err := os.ReadFile(units + name)
		if err != nil {
			t.Fatal(err)
		}
		text += "\n" + string(more)
	}
	path := filepath.Join(dir, "tokend.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnitIsVerified(t *testing.T) {
	for _, dropIns := range [][]string{nil, {"credentials.conf"}, {"ownership.conf"}} {
		if out, err := analyze(t, "verify", "--man=no", unit(t, dropIns...)); err != nil || out != "" {
			t.Errorf("with %q: %v\n%s", dropIns, err, out)
		}
	}
}

func TestUnitExposesLittle(t *testing.T) {
	for _, dropIns := range [][]string{nil, {"credentials.conf"}} {
		if out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+mostExposed, unit(t, dropIns...)); err != nil {
			t.Errorf("with %q: %v\n%s", dropIns, err, out)
		}
	}
}

func TestScoreIsAsDocumented(t *testing.T) {
	out, err := analyze(t, "security", "--offline=true", "--no-pager", unit(t))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, score, _ := strings.Cut(out, "tokend.service: ")
	score, _, _ = strings.Cut(score, " ")
	page, err := os.ReadFile("../../docs/systemd.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "`systemd-analyze security tokend` scores it " + score + "."; !strings.Contains(string(page), want) {
		t.Errorf("docs/systemd.md does not say %q", want)
	}
}

// The user and the directories that the unit takes for granted are made by files
// whose syntax systemd's own tools judge.
func TestSnippets(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	use := func(tool, file string, args ...string) {
		if _, err := exec.LookPath(tool); err != nil {
			testbed.Missing(t, "%s is missing: apt-get install systemd", tool)
		}
		path, err := filepath.Abs(units + file)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), tool, append(args, "--root="+root, path)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
	}
	use("systemd-sysusers", "sysusers.conf")
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || !strings.HasPrefix(string(passwd), "tokend:") {
		t.Errorf("passwd is %q, %v", passwd, err)
	}
	if os.Geteuid() != 0 {
		testbed.Missing(t, "to give directories away takes root")
	}
	use("systemd-tmpfiles", "tmpfiles.conf", "--create")
	for dir, mode := range map[string]os.FileMode{"etc/tokend": 0o750, "run/tokend": 0o755, "var/lib/tokend": 0o700} {
		if info, err := os.Stat(filepath.Join(root, dir)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
}
