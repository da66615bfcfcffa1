package tokenserver

import (
	"fmt"
	"time"
)

// The ways in which the server behaves.
const (
	ModeOK          = "ok"
	ModeRefused     = "refused"     // nothing listens, and open connections are closed
	ModeReset       = "reset"       // the request is read, then the connection is reset
	ModeUnavailable = "unavailable" // 503
	ModeHang        = "hang"        // the request is read and never answered, not even when the mode has ended
	ModeLimited     = "limited"     // at most Rate requests in any second; 429 with Retry-After: 1 for the others
)

// Mode is how the server behaves from now on.
type Mode struct {
	Name    string        `json:"name"`
	Latency time.Duration `json:"latency,omitempty"` // added to every answer
	Rate    int           `json:"rate,omitempty"`    // requests a second under [ModeLimited]
}

func (m Mode) check() error {
	switch m.Name {
	case ModeOK, ModeRefused, ModeReset, ModeUnavailable, ModeHang:
		return nil
	case ModeLimited:
		if m.Rate > 0 {
			return nil
		}
		return fmt.Errorf("mode %q needs a rate above 0", m.Name)
	}
	return fmt.Errorf("unknown mode %q", m.Name)
}
