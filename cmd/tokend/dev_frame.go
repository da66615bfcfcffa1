package main

import (
	"fmt"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/devserver"
	"github.com/tokend-project/tokend/internal/devview"
)

// devFrames puts together what the live view shows.
type devFrames struct {
	server  *devserver.Server
	status  func() control.Status
	address string
	dir     *devDir
	typed   string // the directory as the user typed it
	started time.Time
}

func (d *devFrames) next() devview.Frame {
	status, stats := d.status(), d.server.Stats()
	f := devview.Frame{
		Now: time.Now(), Started: d.started, Address: d.address, Dir: d.dir.root, DirAsTyped: d.typed,
		Tokens: status.Tokens, Events: configEvents(status.Config),
	}
	for _, c := range stats.Counts {
		f.Server = append(f.Server, serverRow(c))
	}
	for _, r := range stats.Recent {
		f.Requests = append(f.Requests, serverRequest(r))
	}
	return f
}

// configEvents shows that an edit of the configuration was refused.
func configEvents(c control.ConfigStatus) []string {
	if c.Error == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s the edited %s is broken, the last good one runs: %s",
		c.Error.At.Local().Format(time.TimeOnly), devConfig, oneLine(c.Error.Message))}
}

func serverRow(c devserver.Counts) devview.Row {
	r := devview.Row{
		API: string(c.API), Logins: c.Logins, Refreshes: c.Refreshes, Refused: c.Refusals,
		Reuses: c.Reuses, Accepted: c.Accepted, Unauthorized: c.Unauthorized,
	}
	if c.Mode != devserver.Working {
		r.Fault = c.Mode.String()
	}
	return r
}

func serverRequest(r devserver.Request) devview.Request {
	out := devview.Request{At: r.At, API: string(r.API), What: r.Grant, Who: r.Account, Outcome: string(r.Outcome)}
	switch r.Outcome {
	case devserver.Unauthorized, devserver.Refused, devserver.Reused, devserver.Faulted:
		out.Bad = true
	}
	if r.Detail != "" {
		out.Outcome += ": " + r.Detail
	}
	return out
}
