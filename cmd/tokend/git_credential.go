package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/loopback"
	"github.com/tokend-project/tokend/internal/token"
)

// gitHelper answers git as a credential helper (gitcredentials(7)).
type gitHelper struct {
	daemon   daemonFlags
	fresh    freshness
	username string
	host     string
	insecure bool
	minAge   time.Duration
}

func newGitCredential() *cobra.Command {
	var h gitHelper
	cmd := &cobra.Command{
		Use:   "git-credential NAME get|store|erase",
		Short: "Give a token to git as a password",
		Long: `Speak git's credential helper protocol: get prints the access token as the
password, with its expiry; store does nothing. erase, which git says when the
server has refused the password, asks the daemon for a new token, unless the
daemon has one already or the refused one is younger than --min-age: a server
that refuses a new token would refuse the next one as well.

git asks for whatever host it talks to, so name the one that the token is for.`,
		Example: `  git config --global credential.https://git.example.com.helper \
    '!tokend git-credential --host git.example.com operator'`,
		Args:              gitArgs,
		ValidArgsFunction: h.daemon.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.fresh.check(cmd); err != nil {
				return err
			}
			asked, err := readGitCredential(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return h.answer(cmd, args[0], args[1], asked)
		},
	}
	h.daemon.add(cmd)
	h.fresh.add(cmd)
	cmd.Flags().StringVar(&h.username, "username", "", "`name` to give with the password (default: the one that git asks for, or oauth2)")
	cmd.Flags().StringVar(&h.host, "host", "", "answer for this `host` alone, with its port where it has one")
	cmd.Flags().BoolVar(&h.insecure, "allow-insecure-http", false, "answer for plain http too, and not to this machine alone")
	cmd.Flags().DurationVar(&h.minAge, "min-age", time.Minute, "ask for a new token only when the refused one is older than this `duration`")
	return cmd
}

// gitArgs wants the name of a token and what git appends.
func gitArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		return nil
	}
	return usage(cmd, fmt.Errorf("git-credential takes the name of one token and what git wants (get, store or erase), and there are %d arguments", len(args)))
}

// answer does what git wants. What it does not know it ignores, as git asks of
// helpers.
func (h *gitHelper) answer(cmd *cobra.Command, name, operation string, asked gitCredential) error {
	if operation != "get" && operation != "erase" || !h.isMeant(asked) {
		return nil
	}
	if asked["protocol"] != "https" && !h.insecure && !isLoopback(asked["host"]) {
		return fmt.Errorf("the token %q is not given away by %s: it would go over the network unencrypted; use https, or --allow-insecure-http if that network is yours", name, oneWord(asked["protocol"]))
	}
	if operation == "get" {
		return h.get(cmd.Context(), cmd.OutOrStdout(), name, asked)
	}
	return h.erase(cmd.Context(), cmd.ErrOrStderr(), name, asked)
}

// isMeant reports whether git asks for what this helper is for.
func (h *gitHelper) isMeant(asked gitCredential) bool {
	return (h.host == "" || strings.EqualFold(h.host, asked["host"])) &&
		(h.username == "" || asked["username"] == "" || h.username == asked["username"])
}

func (h *gitHelper) get(ctx context.Context, w io.Writer, name string, asked gitCredential) error {
	t, err := h.fresh.token(ctx, &h.daemon, name)
	if err != nil {
		return err
	}
	value := t.AccessToken.Reveal()
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("the token holds control characters, which git cannot read")
	}
	username := h.username
	if username == "" {
		username = asked["username"]
	}
	if username == "" {
		username = "oauth2"
	}
	_, err = fmt.Fprintf(w, "username=%s\npassword=%s\npassword_expiry_utc=%d\n", username, value, t.ExpiresAt.Unix())
	if err != nil {
		return fmt.Errorf("write the credential: %w", err)
	}
	return nil
}

// refusedTimeout is how long git is kept waiting for a new token.
const refusedTimeout = 30 * time.Second

// erase has the daemon replace a token that the server refused. git knows no
// more than that it was refused, be it for a want of permission; and a request
// that is asked for does not wait for min_interval. So one that is new is not
// replaced.
func (h *gitHelper) erase(ctx context.Context, w io.Writer, name string, asked gitCredential) error {
	client, err := h.daemon.client()
	if err != nil {
		return err
	}
	defer client.Close()
	t, err := client.Token(ctx, name, 0)
	switch {
	case errors.Is(err, control.ErrNotReady):
		return nil // the daemon is after a new one already
	case err != nil:
		return err
	case !t.AccessToken.Equal(token.NewSecret(asked["password"])):
		return nil // what was refused is not the current one
	case time.Since(t.IssuedAt) < h.minAge:
		_, err := fmt.Fprintf(w, "tokend: the server refused the token %q, which is only %s old; no new one is asked for\n", name, span(time.Since(t.IssuedAt)))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, refusedTimeout)
	defer cancel()
	if err := client.Refresh(ctx, name, false); err != nil {
		return fmt.Errorf("refresh %s: %w", name, err)
	}
	return nil
}

// isLoopback reports whether a host, with or without a port, is this machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return loopback.Is(strings.Trim(host, "[]"))
}

// oneWord shows a word that came from elsewhere.
func oneWord(s string) string {
	if s == "" {
		return "an unnamed protocol"
	}
	return fmt.Sprintf("%.32q", s)
}
