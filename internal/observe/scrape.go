package observe

import (
	"bufio"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/tokend-project/tokend/internal/token"
)

// packers are used again: each has a megabyte of tables.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level exists
	return w
}}

// Handler serves what was counted, and what is the case with d, in Prometheus'
// text format, version 0.0.4.
func (m *Metrics) Handler(d Daemon) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case m.scraping <- struct{}{}:
			defer func() { <-m.scraping }()
		default:
			http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
			return
		}
		h := w.Header()
		h.Set("Content-Type", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
		h.Set("Vary", "Accept-Encoding")
		var out io.Writer = w
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			packed := packers.Get().(*gzip.Writer)
			packed.Reset(w)
			defer func() {
				_ = packed.Close()
				packers.Put(packed)
			}()
			out = packed
		}
		buffered := bufio.NewWriterSize(out, 64<<10)
		_ = m.write(buffered, d, time.Now()) // a scraper that has gone away needs no answer
		_ = buffered.Flush()
	})
}

// write does one scrape.
func (m *Metrics) write(w *bufio.Writer, d Daemon, now time.Time) error {
	facts := d.Facts()
	detailed := m.o.PerTokenUpTo > 0 && facts.Tokens <= m.o.PerTokenUpTo
	m.detailed.Store(detailed)
	scrape := m.scrapes.Add(1)
	var all []token.Status
	each := d.Each
	if detailed {
		all = d.Status()
		each = func(f func(*token.Status)) {
			for i := range all {
				f(&all[i])
			}
		}
	}
	providers := sums(each, now)
	rows := m.rows(all, scrape)
	m.forget(scrape)
	present := make(map[string]bool, len(providers))
	for _, p := range providers {
		present[p.name] = true
	}
	m.prepare(present)
	families, err := m.registry.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	x := &exposition{w: w}
	x.facts(facts, detailed)
	x.providers(providers)
	if detailed {
		x.tokens(rows, now)
	}
	return nil
}

// sums adds up tokens by provider; the list is sorted.
func sums(each func(func(*token.Status)), now time.Time) []*provider {
	all := map[string]*provider{}
	var p *provider // of the token before: a fleet's tokens come one after the other
	each(func(s *token.Status) {
		if p == nil || p.name != s.Provider {
			p = all[s.Provider]
		}
		if p == nil {
			p = &provider{name: s.Provider, states: map[token.State]int{}}
			all[s.Provider] = p
		}
		p.add(s, now)
	})
	sorted := make([]*provider, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

// facts writes what is the case with the daemon.
func (x *exposition) facts(f Facts, detailed bool) {
	x.family("tokend_config_last_reload_successful", gauge, "Whether the newest configuration is the one that runs.")
	x.sample("", flag(!f.Refused))
	x.family("tokend_config_last_reload_success_timestamp_seconds", gauge, "When the running configuration was loaded.")
	x.sample("", seconds(f.LoadedAt))
	x.family("tokend_config_info", gauge, "A hash of what the running configuration describes, secrets left out; always 1. Replicas with the same hash keep the same tokens.")
	x.sample(string(pairs(nil).add("hash", f.ConfigHash)), 1)
	x.family("tokend_metrics_per_token", gauge, "Whether there are series of every token and its sinks. Unless the configuration says, there are as long as the tokens are few.")
	x.sample("", flag(detailed))
	if len(f.Certificates) > 0 {
		x.family("tokend_certificate_expiry_timestamp_seconds", gauge, "When a certificate ends that a provider's tls block names: the client's own, or the first of its authorities.")
		for _, c := range f.Certificates {
			x.sample(string(pairs(nil).add("provider", c.Provider).add("use", c.Use)), seconds(c.NotAfter))
		}
	}
	if f.Replica != nil {
		x.replica(f.Replica)
	}
}

func (x *exposition) replica(r *Replica) {
	lease := pairs(nil).add("lease", r.Lease)
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"tokend_ha_standby", "Whether this replica keeps no shard.", flag(len(r.Held) == 0)},
		{"tokend_ha_shards", "Shards in all.", float64(r.Shards)},
		{"tokend_ha_shards_held", "Shards that this replica keeps.", float64(len(r.Held))},
		{"tokend_ha_members", "Replicas that are alive, this one included, as this one sees it.", float64(r.Members)},
		{"tokend_ha_lease_trouble", "Whether this replica's last renewal of its Leases failed.", flag(r.Trouble)},
	} {
		x.family(g.name, gauge, g.help)
		x.sample(string(lease), g.value)
	}
	x.family("tokend_ha_shard_held", gauge, "Whether this replica keeps the shard. The sum over all replicas is 1 for every shard that is kept.")
	for shard := range r.Shards {
		x.sample(string(slices.Clone(lease).add("shard", strconv.Itoa(shard))), flag(slices.Contains(r.Held, shard)))
	}
}
