package devview

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// The control sequences of a screen: ECMA-48, and xterm's private modes for the
// alternate screen (1049), the cursor (25), wrapping (7) and a synchronised
// update (2026), which terminals that don't know it pass over.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	beginUpdate = "\x1b[?2026h\x1b[H"
	endUpdate   = "\x1b[J\x1b[?2026l"
	endOfLine   = "\x1b[K"
)

// DefaultPace is how often [Run] draws unless it is told otherwise: smooth for
// a bar of 30 seconds, and little work.
const DefaultPace = 250 * time.Millisecond

// View is how and where [Run] shows frames.
type View struct {
	Out   io.Writer
	Style Style
	Plain bool          // single lines even on a terminal
	Every time.Duration // between two frames; 0 means DefaultPace
}

// Run shows what next returns until ctx is done, and then once more; it returns
// the first error of writing, or nil. On a terminal it draws on the alternate
// screen and gives the user's own back when it ends, a panic of next included.
// Elsewhere it prints the lines of [Changes]. It calls next from its own
// goroutine, one call at a time.
func Run(ctx context.Context, v View, next func() Frame) error {
	if v.Every <= 0 {
		v.Every = DefaultPace
	}
	if v.Plain || v.Style.Dumb || !IsTerminal(v.Out) {
		return v.lines(ctx, next)
	}
	return v.screen(ctx, next, terminalSize(v.Out))
}

func (v View) screen(ctx context.Context, next func() Frame, size func() (width, height int)) (err error) {
	if _, err := io.WriteString(v.Out, enterScreen); err != nil {
		return err
	}
	defer func() {
		if _, failed := io.WriteString(v.Out, leaveScreen); err == nil {
			err = failed
		}
	}()
	return v.pace(ctx, func() error {
		width, height := size()
		// The last column stays free: a cursor that stands on it without
		// wrapping would have its character cleared with the rest of the line.
		return drawScreen(v.Out, Render(next(), width-1, height, v.Style))
	})
}

// pace calls show at once, at every tick, and when ctx is done.
func (v View) pace(ctx context.Context, show func() error) error {
	tick := time.NewTicker(v.Every)
	defer tick.Stop()
	for {
		if err := show(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return show()
		}
	}
}

// drawScreen overwrites the screen in place, in one write: clearing it first
// would flicker.
func drawScreen(out io.Writer, picture string) error {
	var b strings.Builder
	b.WriteString(beginUpdate)
	b.WriteString(strings.ReplaceAll(picture, "\n", endOfLine+"\r\n"))
	b.WriteString(endOfLine)
	b.WriteString(endUpdate)
	_, err := io.WriteString(out, b.String())
	return err
}

func (v View) lines(ctx context.Context, next func() Frame) error {
	var last *Frame
	return v.pace(ctx, func() error {
		frame := next()
		out := bufio.NewWriter(v.Out)
		for _, line := range Changes(last, frame) {
			_, _ = out.WriteString(v.Style.clean(line) + "\n") // Flush has the error
		}
		last = &frame
		return out.Flush()
	})
}

// terminalSize asks anew for every frame, so that a resized window is noticed
// without a signal.
func terminalSize(out io.Writer) func() (width, height int) {
	return func() (width, height int) {
		if f, ok := out.(*os.File); ok {
			if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
				return w, h
			}
		}
		return 80, 24
	}
}
