package vault

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPausesGrowAndEnd(t *testing.T) {
	t.Parallel()
	for tries, want := range map[int][2]time.Duration{
		0:    {time.Second, 2 * time.Second},
		1:    {2 * time.Second, 8 * time.Second},
		2:    {4 * time.Second, 32 * time.Second},
		3:    {8 * time.Second, 128 * time.Second},
		4:    {longPause, slowPause},
		1000: {longPause, slowPause},
	} {
		if got := [2]time.Duration{growing(tries), growingSlowly(tries)}; got != want {
			t.Errorf("after %d tries: %v, want %v", tries, got, want)
		}
	}
	// Within a quarter of an hour at most four wrong credentials after the first quick ones.
	var sum time.Duration
	for tries := range 8 {
		sum += growingSlowly(tries) / 2 // the least that jitter leaves
	}
	if sum < 10*time.Minute {
		t.Errorf("eight wrong logins within %s", sum)
	}
}

func TestAPauseEndsWithTimeOrWithAnotherCredential(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := stampOf(name)
	why := errors.New("refused")
	now := time.Now()
	for range 100 {
		var p pause
		p.extend(now, why, 8*time.Second, first)
		if left := p.until.Sub(now); left < 4*time.Second || left > 8*time.Second {
			t.Fatalf("a pause of %s, want 4 to 8 s", left)
		}
		if err := p.left(now, stampOf(name)); !errors.Is(err, why) {
			t.Fatalf("error %v, want the one that it began with", err)
		}
		if err := p.left(now.Add(8*time.Second), first); err != nil {
			t.Fatalf("after its end: %v", err)
		}
	}
	var p pause
	p.extend(now, &Error{after: time.Minute}, time.Second, first)
	if left := p.until.Sub(now); left != time.Minute {
		t.Errorf("a pause of %s, want the minute that the server asked for", left)
	}
	if err := os.WriteFile(name, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.left(now, stampOf(name)); err != nil {
		t.Errorf("with another credential: %v", err)
	}
	if err := p.left(now, stamp{}); err != nil {
		t.Errorf("without its file: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, " 12 ": 12 * time.Second, "-1": 0, "1.5": 0, "3601": time.Hour, "99999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat):  90 * time.Second,
		now.Add(-90 * time.Second).Format(http.TimeFormat): 0,
		now.Add(48 * time.Hour).Format(http.TimeFormat):    time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
