package systemd

import (
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is a service manager that listens. All methods are safe for concurrent
// use.
type Manager struct {
	send     func(state string) error
	watchdog time.Duration
}

// FromEnvironment returns the manager that started this process, and nil when
// none did that wants to be told (NOTIFY_SOCKET).
func FromEnvironment() (*Manager, error) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil, nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("read what the watchdog expects: %w", err)
	}
	return NewManager(notify, watchdog), nil
}

func notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	return err
}

// NewManager returns a manager that is told by send, which may be called from
// several goroutines, and that takes a process for hung which has been silent for
// watchdog; 0 means never.
func NewManager(send func(state string) error, watchdog time.Duration) *Manager {
	return &Manager{send: send, watchdog: watchdog}
}

// patience is how long a silence the manager is to bear: the watchdog's time, or
// where there is no watchdog as long as a start waits for its next extension.
func (m *Manager) patience() time.Duration {
	if m.watchdog > 0 {
		return m.watchdog
	}
	return time.Minute
}

func usec(name string, d time.Duration) string {
	return fmt.Sprintf("%s=%d\n", name, d.Microseconds())
}
