package devview

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// update rewrites the pictures: go test ./internal/devview -update.
var update = flag.Bool("update", false, "rewrite the golden pictures")

var now = time.Date(2026, 3, 1, 18, 11, 43, 0, time.UTC)

func exampleFrame() Frame {
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	status := func(name, grant, file string, left int, gen, refreshes uint64) token.Status {
		return token.Status{
			Name: name, Grant: grant, State: token.StateFresh, Generation: gen, Refreshes: refreshes,
			IssuedAt: at(left - 30), ExpiresAt: at(left), NextAttempt: at(left - 7), NextKind: "refresh",
			Sinks: []token.SinkStatus{{Kind: "file", Target: "/home/u/tokend-dev/" + file}},
		}
	}
	f := Frame{
		Now: now, Started: at(-130), Address: "http://127.0.0.1:45123", Dir: "/home/u/tokend-dev", DirAsTyped: "./tokend-dev",
		Tokens: []token.Status{
			status("greymatter-upstream", "password", "greymatter/token.json", 29, 6, 0),
			status("musement-app", "client_credentials", "musement/app.token", 24, 6, 0),
			status("musement-user", "password", "musement/user.header", 17, 12, 11),
			status("rator-customer", "password", "rator/customer.env", 5, 104, 103),
			status("rator-operator", "operator_password", "rator/operator.token", 12, 6, 5),
			status("rator-system", "client_credentials", "rator/system.token", 0, 6, 0),
		},
		Server: []Row{
			{API: "musement", Logins: 7, Refreshes: 11, Accepted: 26},
			{API: "greymatter", Logins: 6, Accepted: 26, Unauthorized: 1},
			{API: "rator", Logins: 8, Refreshes: 108, Refused: 3, Reuses: 1, Accepted: 25, Fault: "503"},
		},
		Events: []string{"18:11:02 configuration loaded"},
	}
	f.Tokens[3].State = token.StateRetrying
	f.Tokens[3].LastError = &token.Problem{Message: "token request answered without a usable result (http_status): HTTP 503"}
	f.Tokens[5].State = token.StateExpired
	f.Tokens[5].InFlight = true
	for i := range 30 {
		f.Requests = append(f.Requests, Request{At: at(i - 31), API: "musement", What: "client_credentials", Who: "tokend-dev", Outcome: "logged in"})
	}
	f.Requests = append(f.Requests, Request{At: at(-1), API: "rator", What: "operator_password", Who: "operator", Outcome: "refused: a login spells it brand_key in the query, not brandKey", Bad: true})
	return f
}

func TestRender(t *testing.T) {
	full := Style{Color: true, Unicode: true}
	cases := []struct {
		name          string
		width, height int
		style         Style
	}{
		{"80x24", 80, 24, Style{Unicode: true}},
		{"80x24-color", 80, 24, full},
		{"80x24-ascii", 80, 24, Style{}},
		{"120x40", 120, 40, Style{Unicode: true}},
		{"60x16", 60, 16, Style{Unicode: true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := Render(exampleFrame(), c.width, c.height, c.style)
			golden(t, c.name+".txt", got)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got+"\n" != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("picture differs from %s; got:\n%s", path, got)
	}
}

// escapes are the colours; everything else in a picture is text.
var escapes = regexp.MustCompile(`\x1b\[[0-9;]*m`)

func TestPictureFitsEveryTerminal(t *testing.T) {
	for width := 32; width <= 200; width += 7 {
		for _, height := range []int{3, 6, 9, 13, 16, 20, 24, 30, 60} {
			for _, style := range []Style{{}, {Color: true, Unicode: true}} {
				picture := Render(exampleFrame(), width, height, style)
				lines := strings.Split(picture, "\n")
				if len(lines) != height {
					t.Fatalf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if n := columns(escapes.ReplaceAllString(line, "")); n > width {
						t.Fatalf("%dx%d: %d columns: %q", width, height, n, line)
					}
				}
			}
		}
	}
}

func TestEmptyFrameIsDrawn(t *testing.T) {
	if got := Render(Frame{Now: now}, 80, 24, Style{}); !strings.Contains(got, "TOKEN") {
		t.Errorf("got %q", got)
	}
}

func TestServersTextCannotSteerTheTerminal(t *testing.T) {
	f := exampleFrame()
	hostile := "\x1b]0;owned\x07\x9b2J\u202eevil\r\n"
	f.Tokens[3].LastError.Message = hostile
	f.Requests[len(f.Requests)-1].Outcome = hostile
	f.Requests[len(f.Requests)-1].Who = hostile
	f.Server[0].Fault = hostile
	f.Events = []string{hostile}
	f.Address, f.Dir = hostile, hostile
	for _, height := range []int{24, 40} {
		if got := Render(f, 100, height, Style{}); strings.ContainsAny(got, "\x1b\x07\r\u009b\u202e") || strings.Count(got, "\n") != height-1 {
			t.Errorf("a control character got through: %q", got)
		}
	}
	for _, line := range Changes(nil, f) {
		if got := (Style{Unicode: true}).clean(line); strings.ContainsAny(got, "\x1b\x07\r\n\u009b\u202e") {
			t.Errorf("a control character got through: %q", got)
		}
	}
}

func TestFailingSinkShowsBelowItsToken(t *testing.T) {
	f := exampleFrame()
	f.Tokens[0].Sinks[0].LastError = &token.Problem{Message: "the disk is full"}
	lines := strings.Split(Render(f, 80, 24, Style{}), "\n")
	if !strings.HasPrefix(lines[3], "greymatter-upstream") || lines[4] != "  ` the disk is full" {
		t.Errorf("got:\n%s", strings.Join(lines, "\n"))
	}
}

func TestWideCharactersKeepTheColumns(t *testing.T) {
	s := Style{Unicode: true}
	for _, c := range []struct{ got, want string }{
		{s.fit("日本", 6), "日本  "},
		{s.fit("日本語", 5), "日本…"},
		{s.cutLeft("/日本語/x", 6), "…語/x"},
		{s.cutLeft("rator/token", 8), "…r/token"},
		{s.fitRight("7", 3), "  7"},
		{s.cut("abc", 0), ""},
		{Style{}.fit("日x", 3), "?x "},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
