package docs

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPagesConfigureWhatIsValid loads every configuration of every page.
func TestPagesConfigureWhatIsValid(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, b := range fences(t, page) {
			if b.language != "hcl" {
				continue
			}
			if _, said := load(t, b); said != "" {
				t.Errorf("%s, line %d:\n%s", page, b.line, said)
			}
		}
	}
}

// TestPagesDoWhatTheyShow types the commands of every page, from its top to its
// end, on a machine of its own.
func TestPagesDoWhatTheyShow(t *testing.T) {
	t.Parallel()
	tokend := buildTokend(t)
	typedAnything := 0
	for _, page := range pages(t) {
		all := fences(t, page)
		commands := 0
		for _, b := range all {
			if b.language == "sh" || b.language == "console" {
				commands++
			}
		}
		if commands == 0 {
			continue
		}
		typedAnything++
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, tokend)
			m.prepare(t, all)
			for _, b := range all {
				switch b.language {
				case "hcl":
					m.configure(t, b)
				case "sh":
					m.ready(t, b.text())
					if out, code := m.sh(t, b.text()); code != 0 {
						t.Errorf("line %d ends with %d\n%s\n%s", b.line, code, b.text(), out)
					}
				case "console":
					m.console(t, b)
				}
			}
		})
	}
	if typedAnything < 4 {
		t.Errorf("only %d pages have commands", typedAnything)
	}
}

// TestOtherPagesTypeWhatCanBeTyped does the same for the shell's blocks of the
// documents elsewhere.
func TestOtherPagesTypeWhatCanBeTyped(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "manifests/README.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, buildTokend(t))
			m.prepare(t, nil)
			m.home = filepath.Join(m.home, filepath.Dir(page))
			for _, b := range blocks(t, root+"/"+page, "sh") {
				m.ready(t, b.text())
				if out, code := m.sh(t, b.text()); code != 0 {
					t.Errorf("line %d ends with %d\n%s\n%s", b.line, code, b.text(), out)
				}
			}
		})
	}
}

// console types the commands of a block. What is shown below one of tokend's must
// be what it prints.
func (m *machine) console(t *testing.T, b block) {
	t.Helper()
	for _, c := range typedIn(b) {
		m.ready(t, c.line)
		out, code := m.sh(t, c.line)
		if code != 0 {
			t.Errorf("line %d: $ %s\nends with %d\n%s", b.line, c.line, code, out)
			continue
		}
		if c.output != "" && strings.HasPrefix(c.line, "tokend ") && !shape(c.output).MatchString(out) {
			t.Errorf("line %d: $ %s\nprints\n%s\nthe page shows\n%s", b.line, c.line, out, c.output)
		}
	}
}

// typed is a command of a console block, with the output shown below it.
type typed struct {
	line, output string
}

func typedIn(b block) []typed {
	var all []typed
	for _, line := range b.lines {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, typed{line: command})
		} else if len(all) > 0 {
			all[len(all)-1].output += line + "\n"
		}
	}
	return all
}

// shape is what an output looks like: numbers, bars and room may differ, and "…"
// stands for anything in a line.
func shape(output string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`^\s*`)
	for _, part := range regexp.MustCompile(`\d[\d.]*|…|[█▉▊▋▌▍▎▏]+|\s+|[^\d…█▉▊▋▌▍▎▏\s]+`).FindAllString(output, -1) {
		switch {
		case part[0] >= '0' && part[0] <= '9':
			b.WriteString(`\d[\d.]*`)
		case part == "…":
			b.WriteString(`.*`)
		case strings.ContainsAny(part, "█▉▊▋▌▍▎▏"):
			b.WriteString(`[█▉▊▋▌▍▎▏]+`)
		case strings.TrimSpace(part) == "":
			b.WriteString(`\s+`)
		default:
			b.WriteString(regexp.QuoteMeta(part))
		}
	}
	return regexp.MustCompile(strings.TrimSuffix(b.String(), `\s+`) + `\s*$`)
}

// inText are the commands of tokend within a sentence, in units and in crontabs.
var inText = regexp.MustCompile("(?:`|Exec[A-Za-z]+=/usr/bin/|\\*  )tokend ([^`|&\n]*)")

// TestCommandsInTheTextAreCommands judges the commands of tokend that are told of
// and not typed.
func TestCommandsInTheTextAreCommands(t *testing.T) {
	t.Parallel()
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t, buildTokend(t))
		seen := map[string]bool{}
		for _, page := range append(written(t), root+"/config.example.hcl") {
			for _, c := range inText.FindAllStringSubmatch(read(t, page), -1) {
				line, _, _ := strings.Cut(c[1], " -- ")
				line = regexp.MustCompile(`\[[^\]]*\]|…`).ReplaceAllString(line, "")
				if seen[line] {
					continue
				}
				seen[line] = true
				if out, code := m.sh(t, fmt.Sprintf("kubectl exec pod -- /tokend %s", line)); code != 0 {
					t.Errorf("%s: tokend %s\n%s", page, line, out)
				}
			}
		}
		if len(seen) < 10 {
			t.Errorf("only %d commands were found", len(seen))
		}
	})
}

// TestMachineNoticesWhatIsWrong types what a page must not show.
func TestMachineNoticesWhatIsWrong(t *testing.T) {
	t.Parallel()
	m := newMachine(t, buildTokend(t))
	for what, line := range map[string]string{
		"a command that is not there":        "tokend renew example",
		"one in a pod":                       "kubectl exec deploy/tokend -- /tokend renew",
		"a flag that is not there":           "kubectl exec deploy/tokend -- /tokend get example --fromat json",
		"one of a command that has no end":   "tokend run --conifg /etc/tokend",
		"a configuration that is not there":  "tokend validate --config /etc/tokend/nothing.hcl",
		"a unit that is not there":           "systemctl restart token",
		"a folder that is not there":         "kubectl apply -k manifests/nowhere",
		"a target that is not there":         "make everything",
		"a program that nobody looked at":    "shutdown now",
		"a token that was never written":     "curl -H @/run/tokend/nothing/header https://api.example/",
		"a resource that is asked without":   "curl https://api.example/",
		"a job whose last command succeeded": "false\ntrue",
	} {
		if out, code := m.sh(t, line); code == 0 {
			t.Errorf("%s is not noticed:\n%s\n%s", what, line, out)
		}
	}
	for shown, printed := range map[string]string{
		"1 to keep; 0 token requests\n": "1 to start; 1 token request\n",
		"state … · sealed\n":            "state /var/lib/tokend · not sealed\n",
		"1 token\n":                     "1 token: 1 fresh\n",
	} {
		if shape(shown).MatchString(printed) {
			t.Errorf("%q is taken for %q", printed, shown)
		}
	}
}
