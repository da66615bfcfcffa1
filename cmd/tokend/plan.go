package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/control"
)

func newPlan() *cobra.Command {
	var daemon daemonFlags
	var output string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a reload would do to each token",
		Long: `Load the configuration, compare it with what the daemon runs, and show which
tokens a reload would start, change, retire or keep, and which of them would
cause a token request. Nothing changes. Without a running daemon every token
would be started.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			plan, err := app.Plan(cmd.Context(), app.PlanOptions{
				ConfigPaths: pathsOr(daemon.config), Socket: daemon.socket,
			})
			if err != nil {
				return err
			}
			if output == outputJSON {
				return writeJSON(cmd.OutOrStdout(), plan)
			}
			return showPlan(cmd.OutOrStdout(), plan, styleOf(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().StringVar(&daemon.socket, "socket", "", "control `socket` of the daemon (default: that of the configuration)")
	configFlag(cmd, &daemon.config, configUsage)
	outputFlag(cmd, &output)
	return cmd
}

func showPlan(w io.Writer, plan *control.Plan, style style) error {
	var b strings.Builder
	if !plan.Running {
		b.WriteString("no daemon is running: this is what a start would do\n\n")
	}
	t := &table{style: style, head: []string{"", "TOKEN", "REQUEST"}}
	for _, c := range plan.Changes {
		if c.Action != control.ActionKeep {
			t.rows = append(t.rows, planRow(c))
		}
	}
	if len(t.rows) > 0 {
		b.WriteString(strings.Join(t.lines(), "\n") + "\n\n")
	}
	b.WriteString(planSummary(plan) + "\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

func planRow(c control.Change) row {
	color := map[string]string{control.ActionStart: green, control.ActionChange: yellow, control.ActionRetire: red}[c.Action]
	mark := map[string]string{control.ActionStart: "+", control.ActionChange: "~", control.ActionRetire: "-"}[c.Action]
	request := c.Request
	if request == "" {
		request = "none"
	}
	r := row{cells: []cell{{mark + " " + c.Action, color}, {c.Token, bold}, {request, plain}}}
	for _, detail := range c.Details {
		r.notes = append(r.notes, cell{oneLine(detail), dim})
	}
	return r
}

// planSummary counts what would be done, in the order in which it matters.
func planSummary(plan *control.Plan) string {
	actions, requests := make(map[string]int), 0
	for _, c := range plan.Changes {
		actions[c.Action]++
		if c.Request != "" {
			requests++
		}
	}
	var parts []string
	for _, action := range []string{control.ActionStart, control.ActionChange, control.ActionRetire, control.ActionKeep} {
		if n := actions[action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s to %s", thousands(uint64(n)), action))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no token is configured"}
	}
	return strings.Join(parts, ", ") + "; " + count(requests, "token request")
}
