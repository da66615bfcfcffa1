package devview

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func fixedSize() (width, height int) { return 80, 24 }

func TestScreenIsDrawnAtItsPaceAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 1100*time.Millisecond)
		defer cancel()
		frames := 0
		v := View{Out: &out, Every: 250 * time.Millisecond}
		err := v.screen(ctx, func() Frame { frames++; return exampleFrame() }, fixedSize)
		if err != nil {
			t.Fatal(err)
		}
		if frames != 6 { // at 0, 250, 500, 750, 1000 and at the end
			t.Errorf("%d frames in 1.1 s", frames)
		}
		got := out.String()
		if !strings.HasPrefix(got, enterScreen) || !strings.HasSuffix(got, leaveScreen) {
			t.Error("the terminal's own screen is not given back")
		}
		if strings.Contains(got, "\x1b[2J") {
			t.Error("the screen is cleared, which flickers")
		}
		if n := strings.Count(got, endOfLine); n != frames*24 {
			t.Errorf("%d lines are cleared to their end, want all %d", n, frames*24)
		}
	})
}

func TestNoCharacterStandsWhereClearingTheLineWouldTakeIt(t *testing.T) {
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (View{Out: &out, Every: time.Hour}).screen(ctx, exampleFrame, fixedSize); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(out.String(), beginUpdate, "\r\n"), "\r\n") {
		text := regexp.MustCompile(`\x1b\[[?0-9;]*[A-Za-z]`).ReplaceAllString(line, "")
		if n := columns(text); n > 79 {
			t.Errorf("%d columns of 80: %q", n, text)
		}
	}
}

func TestScreenIsGivenBackOnPanic(t *testing.T) {
	var out bytes.Buffer
	defer func() {
		if recover() == nil {
			t.Error("the panic was swallowed")
		}
		if !strings.HasSuffix(out.String(), leaveScreen) {
			t.Error("the terminal's own screen is not given back")
		}
	}()
	_ = View{Out: &out, Every: time.Hour}.screen(t.Context(), func() Frame { panic("broken") }, fixedSize)
}

// failingWriter fails from its nth write on.
type failingWriter struct{ left int }

var errGone = errors.New("the terminal is gone")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errGone
	}
	return len(p), nil
}

func TestRunEndsWhenItsOutputIsGone(t *testing.T) {
	for writes := range 3 {
		v := View{Out: &failingWriter{left: writes}, Every: time.Millisecond}
		if err := v.screen(t.Context(), exampleFrame, fixedSize); !errors.Is(err, errGone) {
			t.Errorf("screen after %d writes: %v", writes, err)
		}
	}
	if err := Run(t.Context(), View{Out: &failingWriter{}}, exampleFrame); !errors.Is(err, errGone) {
		t.Errorf("lines: %v", err)
	}
}

func TestRunPrintsLinesWhereThereIsNoTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		f := exampleFrame()
		err := Run(ctx, View{Out: &out}, func() Frame {
			f.Tokens = slices.Clone(f.Tokens)
			if f.Tokens[0].Generation < 8 {
				f.Tokens[0].Generation++
			}
			return f
		})
		if err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if strings.Contains(got, "\x1b") {
			t.Error("control sequences in a pipe")
		}
		for _, want := range []string{
			"authorization server at http://127.0.0.1:45123, files in /home/u/tokend-dev\n",
			"greymatter-upstream: generation 7, 29s left, greymatter/token.json\n",
			"greymatter-upstream: generation 8, 29s left, greymatter/token.json\n",
			"rator-customer: retrying: token request answered without a usable result (http_status): HTTP 503\n",
		} {
			if strings.Count(got, want) != 1 {
				t.Errorf("%q is not there once in:\n%s", want, got)
			}
		}
	})
}

func TestChanges(t *testing.T) {
	last := exampleFrame()
	cases := []struct {
		name   string
		change func(*Frame)
		want   []string
	}{
		{"nothing new", func(*Frame) {}, nil},
		{"a refused request", func(f *Frame) {
			f.Requests = append(f.Requests, Request{At: now, API: "rator", What: "password", Who: "customer", Outcome: "refused: Bad credentials", Bad: true})
		}, []string{"18:11:43 server: rator password customer: refused: Bad credentials"}},
		{"a granted request", func(f *Frame) {
			f.Requests = append(f.Requests, Request{At: now, API: "rator", Outcome: "logged in"})
		}, nil},
		{"a token that expires", func(f *Frame) { f.Tokens[0].State = token.StateExpired }, []string{"18:11:43 greymatter-upstream: expired"}},
		{"a token that is fresh again", func(f *Frame) { f.Tokens[5].State = token.StateFresh }, nil},
		{"a token that needs a person", func(f *Frame) {
			f.Tokens[0].State = token.StateHuman
			f.Tokens[0].LastError = &token.Problem{Message: "the refresh token was refused"}
		}, []string{"18:11:43 greymatter-upstream: human: the refresh token was refused"}},
		{"a configuration that broke", func(f *Frame) { f.Events = append(f.Events, "18:11:43 broken") }, []string{"18:11:43 broken"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := exampleFrame()
			c.change(&f)
			if got := Changes(&last, f); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
