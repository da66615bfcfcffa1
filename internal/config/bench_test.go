package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
)

const fleetSize = 10_000

// fleetText is a fleet of which each token has a grant, a schedule and a sink,
// and, with own, a client of its own from a JSON file.
func fleetText(own bool) string {
	forEach, client := fmt.Sprintf("range(%d)", fleetSize), ""
	if own {
		forEach = `{ for t in jsondecode(file("fleet.json")) : t.name => t }`
		client = "client_id = token.value.id\nclient_secret = token.value.secret\n"
	}
	return oneProvider + fmt.Sprintf(`
dynamic "token" {
  for_each = %s
  labels   = ["tenant-${token.key}"]
  content {
    provider = "p"
    %s
    grant "client_credentials" {
      scope = ["read", "write"]
    }
    schedule {
      lead = "45s"
    }
    sink "file" {
      path = "/run/tokend/fleet/tenant-${token.key}/token"
      mode = "0640"
    }
  }
}
`, forEach, client)
}

func writeFleet(tb testing.TB, own bool) string {
	tb.Helper()
	dir := tb.TempDir()
	var tenants []map[string]string
	for i := range fleetSize {
		tenants = append(tenants, map[string]string{"name": fmt.Sprintf("t%05d", i), "id": fmt.Sprintf("client-%05d", i), "secret": fmt.Sprintf("secret-of-%05d", i)})
	}
	data, err := json.Marshal(tenants)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(dir, "fleet.json"), string(data))
	write(tb, filepath.Join(dir, "tokend.hcl"), fleetText(own))
	return filepath.Join(dir, "tokend.hcl")
}

func BenchmarkFleet(b *testing.B) {
	for name, own := range map[string]bool{"range": false, "own-clients": true} {
		b.Run(name, func(b *testing.B) {
			path := writeFleet(b, own)
			b.ReportAllocs()
			for b.Loop() {
				if _, report := Load([]string{path}, Options{}); report.Err() != nil {
					b.Fatal(report.Err())
				}
			}
		})
	}
}

// TestFleetStaysSmall: what a Config keeps of a token counts ten thousand times.
func TestFleetStaysSmall(t *testing.T) {
	const most = 700 // bytes per token
	path := writeFleet(t, true)
	before := heap()
	cfg, report := Load([]string{path}, Options{})
	if err := report.Err(); err != nil || len(cfg.Tokens) != fleetSize {
		t.Fatal(err, len(report.Diagnostics))
	}
	held := float64(heap()-before) / fleetSize
	if runtime.KeepAlive(cfg); held > most {
		t.Errorf("%.0f bytes per token, want at most %d", held, most)
	}
	t.Logf("%.0f bytes per token", held)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
