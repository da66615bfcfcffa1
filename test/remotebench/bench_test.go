package remotebench

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

const (
	places   = 1000
	inFlight = 32        // writes at a time, of tokend and of the bare client
	lifetime = time.Hour // of the tokens: none is refreshed unless it is asked for
	rounds   = 5         // of which the median counts, taken in turns
	content  = 64        // bytes of an access token
)

// destination is a kind of place. It makes room for a run.
type destination struct {
	name  string
	fresh func(b *testing.B) room
}

// room is where one run writes, by tokend or by the bare client.
type room struct {
	bare   []string // flags of the bare client
	env    []string // and what it finds in its environment
	blocks string   // of tokend's config, outside of tokens
	sink   string   // within a token; token.key is the place's name
	// requests counts all requests so far, and those of them that write.
	requests func(b *testing.B) (all, writes int)
}

func BenchmarkSecrets(b *testing.B) { measure(b, secrets(b)) }
func BenchmarkVaultKV(b *testing.B) { measure(b, vaultKV(b)) }

func measure(b *testing.B, d destination) {
	binary, bareBinary := build(b, "./cmd/tokend"), build(b, "./test/remotebench/bare")
	for b.Loop() {
		var bare, ours []float64
		for range rounds {
			rest()
			c := startBare(b, bareBinary, d.fresh(b))
			bare = append(bare, c.cold.Seconds())
			c.stop(b)
			rest()
			t := start(b, binary, d.fresh(b), "")
			ours = append(ours, t.cold.Seconds())
			b.Logf("%s: %s", d.name, t.stop(b))
		}
		report(b, d.name+" cold start", "cold", bare, ours, "from nothing until all places are filled")

		bare, ours = nil, nil
		r := d.fresh(b)
		c := startBare(b, bareBinary, d.fresh(b))
		t := start(b, binary, r, `cron = ["* * * * *"]`)
		t.tick(b) // the cold start may have met one
		allBefore, writesBefore := r.requests(b)
		for range rounds {
			// Both come half a minute after the other: a server that was busy a moment
			// ago is another one than a server that was idle.
			time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute / 2)))
			bare = append(bare, c.fill(b).Seconds())
			ours = append(ours, t.tick(b).Seconds())
		}
		report(b, d.name+" steady rate", "steady", bare, ours, "all places written anew, due at one instant")
		all, writes := r.requests(b)
		all, writes = all-allBefore, writes-writesBefore
		t.stop(b)
		c.stop(b)
		b.Logf("%s: %d requests, of them %d writes, for %d refreshes", d.name, all, writes, rounds*places)
		b.ReportMetric(float64(all)/(rounds*places), "requests/refresh")
		if all != rounds*places || writes != all {
			b.Errorf("%s: %d requests, of them %d writes, for %d refreshes: want one write each and nothing else", d.name, all, writes, rounds*places)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func report(b *testing.B, what, metric string, bare, ours []float64, note string) {
	ratio := median(ours) / median(bare)
	b.Logf("%-30s bare client %s, tokend %s = %.2fx (%s)", what, seconds(bare), seconds(ours), ratio, note)
	b.ReportMetric(ratio, metric+"-ratio")
}

// seconds is the median of all rounds, with the least and the most.
func seconds(of []float64) string {
	return fmt.Sprintf("%.2f s (%.2f–%.2f)", median(of), slices.Min(of), slices.Max(of))
}

// rest lets the server finish what it does for the run before.
func rest() { time.Sleep(3 * time.Second) }

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
