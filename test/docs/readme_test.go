// Package docs holds the README to its word: what it configures is valid, and
// what it types does what it shows.
package docs

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/config"
)

const (
	root   = "../.."
	readme = root + "/README.md"
)

// credentials is where systemd has put those that the pages name.
const credentials = "/run/credentials/tokend.service"

// world is a machine on which every file exists that the README names.
func world() config.Options {
	return config.Options{
		Env: func(name string) (string, bool) { return credentials, name == "CREDENTIALS_DIRECTORY" },
		ReadFile: func(path string) ([]byte, fs.FileMode, error) {
			if filepath.Dir(path) == credentials {
				return []byte("credential of " + path), 0o400, nil
			}
			switch filepath.Ext(path) {
			case ".secret", ".key":
				return []byte("secret of " + path + "\n"), 0o640, nil
			case ".json":
				return []byte(`[{"name": "acme", "client_id": "a", "client_secret": "s1"}, {"name": "umbrella", "client_id": "u", "client_secret": "s2"}]`), 0o600, nil
			}
			return nil, 0, fs.ErrNotExist
		},
	}
}

// someProvider is a provider block as a whole.
var someProvider = regexp.MustCompile(`(?ms)^(provider "[^"]+" \{)\n(.*?^\})`)

// load reads a configuration, or the part of one that its fence says. A provider
// of which a page shows something else may leave out its address.
func load(t *testing.T, b block) (*config.Config, string) {
	t.Helper()
	text, ok := map[string]string{
		"":         "%s",
		"provider": "provider \"p\" {\ntoken_endpoint = \"https://auth.example/token\"\n%s}\n",
		"token": "provider \"p\" {\ntoken_endpoint = \"https://auth.example/token\"\nclient_id = \"c\"\nclient_secret = \"s\"\n}\n" +
			"token \"t\" {\nprovider = \"p\"\ngrant \"client_credentials\" {}\n%s}\n",
	}[b.place]
	if !ok {
		t.Fatalf("line %d: a fence of hcl says nothing, provider or token; this one says %q", b.line, b.place)
	}
	body := someProvider.ReplaceAllStringFunc(b.text(), func(block string) string {
		if strings.Contains(block, "token_endpoint") {
			return block
		}
		return someProvider.ReplaceAllString(block, "$1\ntoken_endpoint = \"https://auth.example/token\"\n$2")
	})
	path := filepath.Join(t.TempDir(), "tokend.hcl")
	if err := os.WriteFile(path, fmt.Appendf(nil, text, body), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, report := config.Load([]string{path}, world())
	var said strings.Builder
	if err := report.Write(&said, false, 0); err != nil {
		t.Fatal(err)
	}
	return cfg, said.String()
}

func TestConfigurationsAreValidWithoutAWarning(t *testing.T) {
	t.Parallel()
	for _, b := range blocks(t, readme, "hcl") {
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			t.Parallel()
			cfg, said := load(t, b)
			if said != "" {
				t.Fatal(said)
			}
			if len(cfg.Tokens) == 0 || slices.ContainsFunc(cfg.Tokens, func(tok *config.Token) bool { return len(tok.Sinks) == 0 }) {
				t.Error("a configuration that writes nothing shows nothing")
			}
		})
	}
}

func TestEveryProfileIsShown(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, b := range blocks(t, readme, "hcl") {
		cfg, said := load(t, b)
		if cfg == nil {
			t.Fatal(said)
		}
		for _, p := range cfg.Providers {
			shown[p.Profile] = true
		}
	}
	files, err := filepath.Glob(root + "/internal/config/profiles/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no profiles: %v", err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".hcl"); !shown[name] {
			t.Errorf("no configuration uses the profile %s", name)
		}
	}
}

// TestInlineConfigurationIsOfTheLanguage judges the blocks that stand within a
// sentence.
func TestInlineConfigurationIsOfTheLanguage(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	top := regexp.MustCompile("`((?:state|http|control|log)(?: \"file\")? \\{ [^`]* \\})`").FindAllStringSubmatch(string(data), -1)
	if len(top) < 4 {
		t.Fatalf("%d pieces of configuration; each of the daemon's blocks is described in one", len(top))
	}
	for _, m := range top {
		if _, said := load(t, block{lines: []string{m[1]}}); said != "" {
			t.Errorf("%s\n%s", m[1], said)
		}
	}
}

// shell is a place where the commands of the README can be typed.
type shell struct {
	dir  string
	path string // of the directory that holds tokend
}

func newShell(t *testing.T) shell {
	t.Helper()
	s := shell{dir: t.TempDir(), path: filepath.Dir(buildTokend(t))}
	quick := blocks(t, readme, "hcl")[0]
	files := map[string]string{"tokend.hcl": quick.text()}
	for _, m := range regexp.MustCompile(`file\("([^/"]+)"\)`).FindAllStringSubmatch(quick.text(), -1) {
		files[m[1]] = "demonstration\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// run types a command and returns its standard output and exit code.
func (s shell) run(t *testing.T, line string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+s.path+":"+os.Getenv("PATH"), "LANG=C.UTF-8",
		"STATE_DIRECTORY="+s.dir+"/state", "RUNTIME_DIRECTORY="+s.dir+"/run")
	var out strings.Builder
	cmd.Stdout = &out
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out.String(), 0
}

func commands(t *testing.T) []typed {
	t.Helper()
	var all []typed
	for _, b := range blocks(t, readme, "console") {
		all = append(all, typedIn(b)...)
	}
	return all
}

func TestCommandsDoWhatIsShown(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, c := range commands(t) {
		words := strings.Fields(c.line)
		if words[0] != "tokend" || len(words) < 2 {
			t.Errorf("%s: only tokend's commands are typed in console blocks", c.line)
			continue
		}
		switch words[1] {
		case "validate", "plan", "version", "help", "exit-codes":
			out, code := s.run(t, c.line)
			if code != 0 || out != c.output {
				t.Errorf("$ %s\nends with %d and prints\n%s\nthe README shows\n%s", c.line, code, out, c.output)
			}
		case "run", "once", "dev":
			if out, code := s.run(t, c.line+" --help"); code != 0 {
				t.Errorf("$ %s: is no command of tokend's\n%s", c.line, out)
			}
		default: // without a daemon, a good command line ends with 4 and a bad one with 2
			line, _, _ := strings.Cut(c.line, " | ")
			if _, code := s.run(t, line); code != 4 {
				t.Errorf("$ %s\nends with %d, want 4: no daemon answers", line, code)
			}
		}
	}
}

func TestCommandsAndExitCodesAreComplete(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	help, _ := s.run(t, "tokend --help")
	codes, _ := s.run(t, "tokend exit-codes")
	for _, list := range []struct{ text, pattern, shown string }{
		{help, `^  ([a-z]+)  +[A-Z]`, "`tokend %s"},
		{codes, `^ +([0-9]+)  `, "| %s |"},
	} {
		found := 0
		for lines := bufio.NewScanner(strings.NewReader(list.text)); lines.Scan(); {
			m := regexp.MustCompile(list.pattern).FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			found++
			if want := fmt.Sprintf(list.shown, m[1]); !strings.Contains(string(data), want) {
				t.Errorf("the README does not say %s", want)
			}
		}
		if found < 8 {
			t.Errorf("%d entries in\n%s", found, list.text)
		}
	}
}
