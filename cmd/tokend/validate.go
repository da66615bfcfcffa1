package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/config"
)

func newValidate() *cobra.Command {
	var paths []string
	var output string
	var offline bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration",
		Long: `Load the configuration as the daemon would, secrets and all, and report every
fault and warning at once. No token is requested and nothing is written. Ends
with 3 when the configuration is invalid.

With --offline, vault and kubernetes_secret read nothing either: what hangs on
them is not checked, and all the rest is.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			cfg, report := app.Load(cmd.Context(), pathsOr(paths), offline)
			if output == outputJSON {
				return validateJSON(cmd.OutOrStdout(), report)
			}
			if err := report.Err(); err != nil {
				return err
			}
			if err := sayReport(cmd.ErrOrStderr(), report); err != nil {
				return err
			}
			return sayValid(cmd.OutOrStdout(), cfg, report)
		},
	}
	configFlag(cmd, &paths, configUsage)
	cmd.Flags().BoolVar(&offline, "offline", false, "read nothing from Vault and Kubernetes")
	outputFlag(cmd, &output)
	return cmd
}

func sayValid(w io.Writer, cfg *config.Config, report *config.Report) error {
	_, err := fmt.Fprintf(w, "the configuration is valid: %s, %s, %s\n",
		count(len(cfg.Tokens), "token"), count(len(cfg.Providers), "provider"), count(report.Warnings(), "warning"))
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// sayReport writes the diagnostics for a person.
func sayReport(w io.Writer, report *config.Report) error {
	s := styleOf(w)
	return report.Write(w, s.color, s.width)
}

// diagnostic is a fault or a warning as a program reads it.
type diagnostic struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
}

// validateJSON puts faults into the output too, where a program looks for them.
func validateJSON(w io.Writer, report *config.Report) error {
	result := struct {
		Valid       bool         `json:"valid"`
		Diagnostics []diagnostic `json:"diagnostics"`
	}{report.Err() == nil, []diagnostic{}}
	for _, d := range report.Diagnostics {
		severity := "error"
		if d.Warning {
			severity = "warning"
		}
		result.Diagnostics = append(result.Diagnostics, diagnostic{severity, d.Summary, d.Detail, d.File, d.Line, d.Column})
	}
	if err := writeJSON(w, result); err != nil {
		return err
	}
	if !result.Valid {
		return &silentError{exitConfig}
	}
	return nil
}
