package app

import (
	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/systemd"
	"github.com/tokend-project/tokend/internal/token"
)

// report makes what tells the service manager how the App is; it is nil, and
// does nothing, where there is none.
func (a *App) report(c config.Systemd) *systemd.Reporter {
	return systemd.New(systemd.Options{
		Manager: a.options.Manager, Ready: systemd.Ready(c.Ready), Logger: a.logger,
		Tokens: func() []token.Status { return a.refresher.Status() },
		Problem: func() *token.Problem {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.problem
		},
	})
}
