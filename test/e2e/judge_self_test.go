package e2e

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// turncoat is a server that a test tells what is alive.
type turncoat struct {
	mu    sync.Mutex
	alive string
	asked int
}

func (s *turncoat) Introspect(_ context.Context, accessToken string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return accessToken == s.alive, nil
}

func (s *turncoat) turn(alive string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive = alive
}

func (s *turncoat) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// A judge that sees nothing would pass every daemon.
func TestJudgeSeesADeadWindowAndItsLength(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	write := func(content string) {
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	s := &turncoat{alive: "one"}
	write("one")
	j := watch(t, "the judge itself", path, s, 5*time.Millisecond)
	tokend.Await(t, 5*time.Second, "the judge has asked", func() bool { return s.questions() > 3 })
	s.turn("two")
	dead := time.Now()
	time.Sleep(60 * time.Millisecond)
	write("two")
	length := time.Since(dead)
	before := s.questions()
	tokend.Await(t, 5*time.Second, "the judge has asked again", func() bool { return s.questions() > before+3 })
	j.cancel()
	j.done.Wait()
	if v := j.verdict; len(v.dead) != 1 || len(v.tokens) != 2 || v.absent != 0 {
		t.Fatalf("verdict: %s", v)
	}
	if seen := j.verdict.dead[0]; seen < 40*time.Millisecond || seen > length+50*time.Millisecond {
		t.Errorf("a window of %v was seen as %v", length, seen)
	}
}

func TestTokensAreFoundInEveryFormat(t *testing.T) {
	t.Parallel()
	const want = "eyJhbGciOiJIUzI1NiJ9.e30.abc_-def"
	for name, content := range map[string]string{
		"token":  want,
		"header": "Authorization: Bearer " + want + "\n",
		"env":    "TOKEND_ACCESS_TOKEN='" + want + "'\nTOKEND_EXPIRES_AT='2026-01-01T00:00:00Z'\n",
		"json":   `{"access_token":"` + want + `","token_type":"Bearer","generation":4}`,
		"pretty": "{\n  \"access_token\": \"" + want + "\",\n  \"generation\": 4\n}\n",
	} {
		if got := tokenIn.FindStringSubmatch(content); got == nil || got[1] != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
