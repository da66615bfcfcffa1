package config

import (
	"errors"
	"strings"
	"testing"
)

func TestReportIsWrappedAndColouredOnRequest(t *testing.T) {
	_, report := loadText(t, "log {\n  level = \"loud\"\n}\n", Options{})
	for _, tc := range []struct {
		color bool
		width int
	}{{false, 40}, {true, 40}, {false, 0}, {false, -1}} {
		var out strings.Builder
		if err := report.Write(&out, tc.color, tc.width); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "\x1b[31m") != tc.color {
			t.Errorf("color %t:\n%s", tc.color, &out)
		}
		_, detail, _ := strings.Cut(out.String(), "\"level\" must be")
		if wrapped := strings.Contains(strings.TrimSpace(detail), "\n"); wrapped != (tc.width > 0) {
			t.Errorf("width %d:\n%s", tc.width, &out)
		}
	}
}

type brokenPipe struct{}

var errBrokenPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBrokenPipe }

func TestReportTellsThatItCouldNotBeWritten(t *testing.T) {
	_, report := loadText(t, "frobnicate {\n}\n", Options{})
	if err := report.Write(brokenPipe{}, false, 80); !errors.Is(err, errBrokenPipe) {
		t.Errorf("error %v", err)
	}
}

func TestWarningsLeaveTheConfigUsable(t *testing.T) {
	cfg, report := loadText(t, oneProvider+`
token "t" {
  provider = "p"
  grant "client_credentials" {}
  sink "file" {
    path = "/run/t"
    mode = "0644"
  }
}
`, Options{})
	if cfg == nil || report.Err() != nil || report.Warnings() != 1 || !report.Diagnostics[0].Warning || report.Diagnostics[0].Line != 13 {
		t.Errorf("config %v, diagnostics %v", cfg != nil, report.Diagnostics)
	}
}

// TestReportOfAFleetIsShort: one fault in the content of a dynamic block is the
// fault of every element.
func TestReportOfAFleetIsShort(t *testing.T) {
	_, report := loadText(t, oneProvider+`
dynamic "token" {
  for_each = range(10000)
  labels   = ["t${token.key}"]
  content {
    provider = "q"
    grant "password" {
      username = "u"
    }
    sink "file" {
      path = "relative/${token.key}"
    }
  }
}
`, Options{})
	if got := len(report.Diagnostics); got < 3 || got > 3*(mostAlike+1) {
		t.Errorf("%d diagnostics", got)
	}
}
