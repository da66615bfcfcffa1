package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

const fleetSize = 10_000

// A fleet's tokens each have a grant, a schedule and a sink; where their clients
// come from differs.
const (
	sharedClient = "one client"      // of the provider
	jsonClients  = "clients in JSON" // all in one file
	fileClients  = "secret files"    // a file each
)

func fleetText(kind string) string {
	forEach, client := fmt.Sprintf("range(%d)", fleetSize), ""
	switch kind {
	case jsonClients:
		forEach = `{ for t in jsondecode(file("fleet.json")) : t.name => t }`
		client = "client_id = token.value.id\nclient_secret = token.value.secret\n"
	case fileClients:
		client = "client_id = \"client-${token.key}\"\nclient_secret = file(\"secrets/${token.key}\")\n"
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

func writeFleet(tb testing.TB, kind string) string {
	tb.Helper()
	dir := tb.TempDir()
	var tenants []map[string]string
	for i := range fleetSize {
		secret := fmt.Sprintf("secret-of-%05d", i)
		tenants = append(tenants, map[string]string{"name": fmt.Sprintf("t%05d", i), "id": fmt.Sprintf("client-%05d", i), "secret": secret})
		if kind == fileClients {
			write(tb, filepath.Join(dir, "secrets", strconv.Itoa(i)), secret)
		}
	}
	data, err := json.Marshal(tenants)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(dir, "fleet.json"), string(data))
	write(tb, filepath.Join(dir, "tokend.hcl"), fleetText(kind))
	return filepath.Join(dir, "tokend.hcl")
}

func BenchmarkFleet(b *testing.B) {
	for _, kind := range []string{sharedClient, jsonClients, fileClients} {
		b.Run(kind, func(b *testing.B) {
			path := writeFleet(b, kind)
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
	// Some 200 of them are the handle of the client secret that every token of
	// this fleet has for itself; see token.Secret.
	const most = 800 // bytes per token
	path := writeFleet(t, jsonClients)
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
