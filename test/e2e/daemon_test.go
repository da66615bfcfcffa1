package e2e

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// newDaemon makes a place for a daemon whose config is house followed by hcl,
// and starts nothing. In hcl, DIR stands for the daemon's directory.
func newDaemon(t *testing.T, hcl string) *tokend.Daemon {
	t.Helper()
	d := placeDaemon(t)
	d.Configure(t, house+hcl)
	return d
}

// placeDaemon leaves the config, and where the socket is, to the caller.
func placeDaemon(t *testing.T) *tokend.Daemon {
	t.Helper()
	return tokend.New(t, must(lab.tokend())(t))
}

const house = `
state "file" {
  path = "DIR/state"
}
control {
  socket = "DIR/run/control.sock"
}
log {
  level  = "debug"
  format = "json"
}
`

// keepsSecrets fails when a secret is in the log, although it is a debug log.
func keepsSecrets(t *testing.T, d *tokend.Daemon, v verdict, secrets ...string) {
	t.Helper()
	log := d.Log.Bytes()
	for accessToken := range v.tokens {
		secrets = append(secrets, accessToken)
	}
	for _, secret := range secrets {
		if secret != "" && bytes.Contains(log, []byte(secret)) {
			t.Error("a secret is in the log")
		}
	}
}

// freePort returns a loopback port that nobody listens on at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	return l.Addr().(*net.TCPAddr).Port
}
