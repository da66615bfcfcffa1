package vault_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		version int
		options func(t *testing.T) sink.Options
	}{
		{"KV version 1", 1, func(*testing.T) sink.Options { return sink.Options{} }},
		{"KV version 2", 2, func(*testing.T) sink.Options { return sink.Options{} }},
		{"with metadata", 2, func(t *testing.T) sink.Options {
			return sink.Options{MaxVersions: 2, Metadata: formats(t, map[string]string{"generation": "{{ .Generation }}"})}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, func(t *testing.T) sinktest.Harness {
				return harness(t, newPlace(t, server, test.version), test.options(t))
			})
		})
	}
}

func harness(t *testing.T, p *place, o sink.Options) sinktest.Harness {
	o.Monitor, o.CheckEvery = run(t, sink.NewMonitor(50)), 100*time.Millisecond
	return sinktest.Harness{
		Sink: p.sink(t, o),
		Read: func(t *testing.T) (string, bool) {
			text, ok := p.data(t)["token"].(string)
			return text, ok
		},
		Edit:    func(t *testing.T, content string) { p.put(t, map[string]any{"token": content}) },
		Delete:  func(t *testing.T) { p.server.Do(t, http.MethodDelete, p.mount+"/"+p.path, nil) },
		Break:   p.forbid,
		Version: p.writes,
	}
}

// forbid takes the permission to write away, and leaves the one to read.
func (p *place) forbid(t *testing.T) (mend func()) {
	p.server.SetPolicy(t, p.policy, rule(p.mount+"/"+p.path, `"read"`))
	return func() { p.server.SetPolicy(t, p.policy, p.rules()) }
}

// writes counts the requests that write, and on version 2 shows what they did.
func (p *place) writes(t *testing.T) string {
	seen := []any{p.requests(t, http.MethodPut), p.requests(t, http.MethodPost), p.requests(t, http.MethodDelete)}
	if p.version == 2 {
		seen = append(seen, p.about(t))
	}
	text, err := json.Marshal(seen)
	must(t, err)
	return string(text)
}
