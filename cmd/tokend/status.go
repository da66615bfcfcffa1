package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
)

// watchEvery is how often --watch looks.
const watchEvery = time.Second

func newStatus() *cobra.Command {
	var daemon daemonFlags
	var output string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status [NAME…]",
		Short: "Show the tokens of the running daemon",
		Long: `Show every token, or those named: its state, what is left of its lifetime, what
happens next and when, and which sinks hold it. Failures stand in words below
the token that they concern, each with its code in brackets: "tokend explain
CODE" says what to do about it.

States:
  pending   no access token yet; the first login is due or under way
  fresh     the access token is valid and the last attempt succeeded
  retrying  the access token is valid and the last attempt failed
  expired   there is no valid access token
  human     a person must act: the grant can't log in by itself
  standby   another replica keeps it

Ends with 5 when a token that it shows has no valid access token.`,
		ValidArgsFunction: daemon.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			client, err := daemon.client()
			if err != nil {
				return err
			}
			show := showTable
			if output == outputJSON {
				show = showJSON
			}
			if watch {
				return watchStatus(cmd.Context(), client, names, cmd.OutOrStdout(), show)
			}
			return statusOnce(cmd.Context(), client, names, cmd.OutOrStdout(), show)
		},
	}
	daemon.add(cmd)
	outputFlag(cmd, &output)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again every second, until interrupted")
	return cmd
}

// showFunc writes a status as it is at now.
type showFunc func(w io.Writer, s control.Status, now time.Time, style style) error

func showJSON(w io.Writer, s control.Status, _ time.Time, _ style) error { return writeJSON(w, s) }

func showTable(w io.Writer, s control.Status, now time.Time, style style) error {
	_, err := io.WriteString(w, strings.Join(statusLines(s, now, style), "\n")+"\n")
	return err
}

func statusOnce(ctx context.Context, client *control.Client, names []string, w io.Writer, show showFunc) error {
	s, err := client.Status(ctx, names...)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := show(w, s, now, styleOf(w)); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	for _, t := range s.Tokens {
		if t.State != token.StateStandby && !valid(t, now) {
			return &silentError{exitNotFresh}
		}
	}
	return nil
}

func valid(t token.Status, now time.Time) bool { return t.Generation > 0 && now.Before(t.ExpiresAt) }

// watchStatus redraws the screen until ctx is done. A daemon that is away is
// shown as such and waited for. On a terminal it uses the alternate screen and
// gives the user's own back.
func watchStatus(ctx context.Context, client *control.Client, names []string, w io.Writer, show showFunc) (err error) {
	ctx, stop := interruptible(ctx, syscall.SIGHUP)
	defer stop()
	if styleOf(w).height > 0 {
		const enter, leave = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
		if _, err := io.WriteString(w, enter); err != nil {
			return fmt.Errorf("write the status: %w", err)
		}
		defer func() {
			_, failed := io.WriteString(w, leave)
			err = errors.Join(err, failed)
		}()
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := redraw(ctx, client, names, w, show); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func redraw(ctx context.Context, client *control.Client, names []string, w io.Writer, show showFunc) error {
	var text strings.Builder
	style := styleOf(w)
	s, err := client.Status(ctx, names...)
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // the user ended the watch
	case errors.Is(err, control.ErrUnknownToken):
		return err
	case err != nil:
		text.WriteString(err.Error() + "\n")
	default:
		if err := show(&text, s, time.Now(), style); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, screen(text.String(), style)); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

// screen is text as one picture of the terminal: it is drawn over the last one,
// so that nothing flickers, and cropped to the height. Without a terminal it is
// the text itself.
func screen(text string, s style) string {
	if s.height == 0 {
		return text
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) >= s.height {
		hidden := len(lines) - s.height + 2
		lines = append(lines[:s.height-2], s.paint(dim, fmt.Sprintf("… %d more lines", hidden)))
	}
	const home, clearLine, clearRest = "\x1b[H", "\x1b[K", "\x1b[J"
	return home + strings.Join(lines, clearLine+"\n") + clearLine + "\n" + clearRest
}
