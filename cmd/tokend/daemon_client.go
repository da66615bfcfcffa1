package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
)

const (
	defaultConfig  = "/etc/tokend"
	defaultRuntime = "/run/tokend"
	socketName     = "control.sock"
)

// configFlag adds --config.
func configFlag(cmd *cobra.Command, paths *[]string, usage string) {
	cmd.Flags().StringArrayVarP(paths, "config", "c", nil, usage)
}

const configUsage = "configuration `file`, or directory of *.hcl files; repeatable (default " + defaultConfig + ")"

// pathsOr returns the configuration to load.
func pathsOr(paths []string) []string {
	if len(paths) == 0 {
		return []string{defaultConfig}
	}
	return paths
}

// daemonFlags is how a command finds the daemon.
type daemonFlags struct {
	socket string
	config []string
}

func (f *daemonFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.socket, "socket", "", "control `socket` of the daemon (default $RUNTIME_DIRECTORY/"+socketName+" or "+defaultRuntime+"/"+socketName+")")
	configFlag(cmd, &f.config, "take the control socket from this configuration `file` or directory; repeatable")
}

// path is the socket that was asked for, that of the configuration that was
// asked for, or the one that a daemon has by default.
func (f *daemonFlags) path() (string, error) {
	switch {
	case f.socket != "":
		return f.socket, nil
	case len(f.config) > 0:
		cfg, report := config.Load(f.config, config.Options{CheckTemplate: app.CheckTemplate})
		if err := report.Err(); err != nil {
			return "", err
		}
		return cfg.Control.Socket, nil
	}
	return defaultSocket(os.Getenv("RUNTIME_DIRECTORY")), nil
}

// defaultSocket knows that systemd gives a list of directories where a unit has
// several.
func defaultSocket(runtimeDirectory string) string {
	dir, _, _ := strings.Cut(runtimeDirectory, ":")
	if dir == "" {
		dir = defaultRuntime
	}
	return filepath.Join(dir, socketName)
}

func (f *daemonFlags) client() (*control.Client, error) {
	path, err := f.path()
	if err != nil {
		return nil, err
	}
	return control.NewClient(path), nil
}

// completionTimeout is what a person who presses tab waits at most.
const completionTimeout = time.Second

// completeNames completes the names of tokens that the daemon knows: limit of
// them, or any number with 0.
func (f *daemonFlags) completeNames(limit int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if limit > 0 && len(args) >= limit {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client, err := f.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		names, err := client.Names(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(args, name) })
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
