package devserver

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

// update rewrites the golden config: go test ./internal/devserver -update.
var update = flag.Bool("update", false, "rewrite the golden config")

func TestConfigIsTheGoldenOne(t *testing.T) {
	got := newRig(t, Options{}).Config("http://127.0.0.1:8080/", "/home/u/tokend-dev/")
	const path = "testdata/tokend.hcl"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the config differs from %s:\n%s", path, got)
	}
}

func TestConfigFitsTheLifetime(t *testing.T) {
	for lifetime, want := range map[time.Duration][]string{
		30 * time.Second:    {`lead         = "5s"`, `min_interval = "2s"`, `every = "5s"`},
		6 * time.Minute:     {`lead         = "1m0s"`, `min_interval = "10s"`},
		30 * 24 * time.Hour: {`lead         = "5m0s"`, `min_interval = "10s"`, `every = "1m0s"`},
		time.Second:         {`lead         = "166ms"`, `min_interval = "66ms"`, `every = "1s"`},
	} {
		got := newRig(t, Options{Lifetime: lifetime}).Config("http://127.0.0.1:1", "/d")
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("lifetime %s: %q is missing", lifetime, line)
			}
		}
	}
}

func TestConfigQuotesTheDirectory(t *testing.T) {
	got := newRig(t, Options{}).Config("http://127.0.0.1:1", "/tmp/a \"b\" ${c} %{d} \\e")
	if want := `"/tmp/a \"b\" $${c} %%{d} \\e/state"`; !strings.Contains(got, want) {
		t.Errorf("%s is missing", want)
	}
}
