package config

import (
	"net/url"

	"github.com/tokend-project/tokend/internal/loopback"
	"github.com/tokend-project/tokend/internal/token"
)

var tracingSchema = schema{attrs: []string{"endpoint", "headers", "sample", "allow_insecure_http"}}

// Tracing is where spans go, and how many.
type Tracing struct {
	Endpoint          string                  // of an OTLP/HTTP receiver, without /v1/traces
	Headers           map[string]token.Secret // by canonical name
	Sample            float64                 // fraction of the attempts that are traced, in (0, 1]
	AllowInsecureHTTP bool
}

func (d *decoder) tracing(s section) *Tracing {
	if s.block == nil {
		return nil
	}
	d.blocks(s.body, &tracingSchema)
	t := &Tracing{Endpoint: "http://127.0.0.1:4318", Headers: map[string]token.Secret{}, Sample: 1}
	s.str("endpoint", &t.Endpoint)
	s.secrets("headers", &t.Headers, headerKey)
	s.number("sample", &t.Sample)
	s.boolean("allow_insecure_http", &t.AllowInsecureHTTP)
	d.validateCollector(s, t)
	d.validateHeaders(s, t.Headers, []string{"Connection", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Transfer-Encoding", "User-Agent"})
	if t.Sample <= 0 || t.Sample > 1 {
		s.fault("sample", "Unsuitable fraction", "A fraction is more than 0 and at most 1. To trace nothing, leave the block out.")
	}
	return t
}

func (d *decoder) validateCollector(s section, t *Tracing) {
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		s.fault("endpoint", "Unsuitable address", "The endpoint of a collector begins with https:// and has a host: \"https://otel.example:4318\".")
	case u.User != nil:
		s.fault("endpoint", "Secret in an address", "The endpoint must not hold a user or password. They go to headers, as Authorization.")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		s.fault("endpoint", "Unsuitable address", "The endpoint has neither a query nor a fragment. /v1/traces is added to it.")
	case u.Scheme == "http" && !t.AllowInsecureHTTP && !loopback.Is(u.Hostname()):
		s.fault("endpoint", "Plain http", "Names of tokens, targets of sinks and the headers would go over the network unencrypted. Use https://, or set allow_insecure_http = true if that network is yours.")
	}
}
