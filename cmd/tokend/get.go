package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

// freshness is what get and exec ask of a token.
type freshness struct {
	minTTL time.Duration
	wait   time.Duration
}

func (f *freshness) add(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.minTTL, "min-ttl", 0, "fail unless the token lives for at least this `duration`")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "wait at most this `duration` for such a token; 0 fails at once")
}

func (f *freshness) check(cmd *cobra.Command) error {
	if f.minTTL < 0 || f.wait < 0 {
		return usage(cmd, fmt.Errorf("--min-ttl and --wait can't be negative"))
	}
	return nil
}

// token asks the daemon for the token, after waiting for it where that is
// wanted.
func (f *freshness) token(ctx context.Context, daemon *daemonFlags, name string) (token.Token, error) {
	client, err := daemon.client()
	if err != nil {
		return token.Token{}, err
	}
	if f.wait > 0 {
		if err := client.Wait(ctx, []string{name}, f.minTTL, f.wait); err != nil {
			return token.Token{}, err
		}
	}
	return client.Token(ctx, name, f.minTTL)
}

func newGet() *cobra.Command {
	var daemon daemonFlags
	var fresh freshness
	var format, template string
	var options sinks.FormatOptions
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Print a token",
		Long: `Print the current access token to standard output, and nothing else there. The
formats are those of a file sink. Ends with 5 when there is no valid access
token, or less than --min-ttl is left of it.

With the format exec-credential it is a credential plugin of kubectl: as the
command of an exec section, with apiVersion client.authentication.k8s.io/v1 and
interactiveMode Never.`,
		Example: `  tokend get operator --format header | curl -H @- https://rator.example/api
  tokend get operator --min-ttl 5m --wait 30s`,
		Args:              oneName,
		ValidArgsFunction: daemon.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			render, err := formatOf(cmd, format, template, options)
			if err != nil {
				return err
			}
			if err := errors.Join(fresh.check(cmd), checkExecInfo(format, os.Getenv("KUBERNETES_EXEC_INFO"))); err != nil {
				return err
			}
			t, err := fresh.token(cmd.Context(), &daemon, args[0])
			if err != nil {
				return err
			}
			return printToken(cmd, render, t)
		},
	}
	daemon.add(cmd)
	fresh.add(cmd)
	names := sinks.FormatNames()
	cmd.Flags().StringVarP(&format, "format", "f", names[0], "`format`: "+strings.Join(names, ", "))
	cmd.Flags().StringVar(&template, "template", "", "Go `template` instead of a format, such as '{{ .AccessToken }}'")
	cmd.Flags().StringVar(&options.Variable, "variable", "", "`name` of the variable in the format env (default TOKEND_ACCESS_TOKEN)")
	cmd.Flags().StringVar(&options.Machine, "machine", "", "host `name` in the format netrc")
	cmd.Flags().StringVar(&options.Login, "login", "", "login `name` in the format netrc (default oauth2)")
	cmd.Flags().StringVar(&options.Registry, "registry", "", "`host` of the registry in the format dockerconfigjson")
	cmd.Flags().StringVar(&options.Username, "username", "", "user `name` in the format dockerconfigjson (default oauth2accesstoken)")
	cmd.Flags().StringVar(&options.User, "user", "", "`name` of the user in the format kubeconfig (default tokend)")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// formatOf takes the template when there is one. What the formats refuse is a
// usage error.
func formatOf(cmd *cobra.Command, name, template string, o sinks.FormatOptions) (sinks.Format, error) {
	if template != "" {
		if cmd.Flags().Changed("format") {
			return nil, usage(cmd, errors.New("--format and --template exclude each other"))
		}
		f, err := sinks.NewTemplate(template)
		return f, usage(cmd, err)
	}
	f, err := sinks.NewFormat(name, o)
	return f, usage(cmd, err)
}

// checkExecInfo refuses a version of the credential plugin protocol that isn't
// spoken. info is what client-go tells a plugin, if it is client-go that asks.
func checkExecInfo(format, info string) error {
	if format != "exec-credential" || info == "" {
		return nil
	}
	var asked struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal([]byte(info), &asked); err != nil {
		return fmt.Errorf("read $KUBERNETES_EXEC_INFO: %w", err)
	}
	if asked.APIVersion != sinks.ExecCredentialVersion {
		return fmt.Errorf("$KUBERNETES_EXEC_INFO asks for apiVersion %.64q, and tokend speaks %q: write that in the exec section of the kubeconfig", asked.APIVersion, sinks.ExecCredentialVersion)
	}
	return nil
}

// printToken ends the output with a newline, which the shell's $(…) takes off
// again.
func printToken(cmd *cobra.Command, f sinks.Format, t token.Token) error {
	text, err := f.Render(t)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	if _, err := cmd.OutOrStdout().Write(text); err != nil {
		return fmt.Errorf("write the token: %w", err)
	}
	return nil
}
