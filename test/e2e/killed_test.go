package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/strict"
)

const (
	killedTokens  = 20
	recoverWithin = 8 * time.Second // a loaded machine; what it took is reported
)

func strictConfig(s *strict.Server, users []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
provider "strict" {
  token_endpoint = %q
  client_id      = "fleet"
  client_secret  = "fleet-secret"
  schedule {
    refresh_at   = 0.4
    lead         = "1s"
    min_interval = "500ms"
  }
}
`, s.URL)
	for _, user := range users {
		fmt.Fprintf(&b, `
token %[1]q {
  provider = "strict"
  grant "password" {
    username = %[1]q
    password = "for-tests"
  }
  sink "file" {
    path = "DIR/out/%[1]s"
  }
}
`, user)
	}
	return b.String()
}

// A killed daemon may lose a family only between the server's commit and its
// own, and may show a superseded refresh token only when it cannot know that it
// is one. After each kill the state that was left behind is compared with the
// server's: that is exact, whatever the moment was.
func TestKilledDaemonLosesNoFamilyOutsideTheWindow(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	s := strict.Start(t, 3*time.Second)
	s.Pace = func(bool) { time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) }
	users := make([]string, killedTokens)
	for i := range users {
		users[i] = fmt.Sprintf("user-%02d", i)
	}
	d := newDaemon(t, strictConfig(s, users))
	o := newOracle(s, users)
	for i := range kills {
		s.NextBoot()
		d.Run(t)
		o.allLive(t, d)
		time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond) // the random moment
		d.Kill()
		s.Settle(t)
		o.examine(t, d)
		if len(o.faults) > 0 {
			t.Fatalf("kill %d:\n%s", i+1, strings.Join(o.faults, "\n"))
		}
	}
	t.Log(o)
	lab.reports.add(o.String())
	if !testing.Short() && o.ambiguous == 0 {
		t.Error("no kill hit a request in flight: this proves nothing")
	}
}
