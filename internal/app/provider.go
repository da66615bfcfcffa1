package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/endpoint"
	"github.com/tokend-project/tokend/internal/probe"
	"github.com/tokend-project/tokend/internal/refresher"
)

// provider is a token endpoint's client, with the fingerprint of what it was
// built from. The probes of its tokens trust whom it trusts, and share their
// connections.
type provider struct {
	client *endpoint.Client
	probes *http.Transport
	print  refresher.Fingerprint
	ends   ends // of its certificates
}

// close drops idle connections; requests in flight keep theirs.
func (p *provider) close() {
	p.client.Close()
	p.probes.CloseIdleConnections()
}

// newProvider builds p's client, or takes the running one when nothing changed.
func newProvider(p *config.Provider, pr *printer, running map[string]*provider) (*provider, error) {
	print, err := providerPrint(p, pr)
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.Name, err)
	}
	if was := running[p.Name]; was != nil && was.print == print {
		return was, nil
	}
	client, err := endpoint.New(endpointConfig(p))
	if err != nil {
		return nil, fmt.Errorf("provider %q: %w", p.Name, err)
	}
	probes, err := probe.NewTransport(probe.TLS(p.TLS))
	if err != nil {
		return nil, fmt.Errorf("provider %q: preparing probes: %w", p.Name, err)
	}
	return &provider{client: client, probes: probes, print: print, ends: endsOf(p.TLS)}, nil
}

func endpointConfig(p *config.Provider) endpoint.Config {
	requests := make(map[string]endpoint.Request, len(p.Requests))
	for grantType, r := range p.Requests {
		requests[grantType] = endpoint.Request(r)
	}
	return endpoint.Config{
		TokenEndpoint:     p.TokenEndpoint,
		AllowInsecureHTTP: p.AllowInsecureHTTP,
		Timeout:           p.Timeout,
		Requests:          requests,
		Response:          endpoint.Response(p.Response),
		TLS:               endpoint.TLS(p.TLS),
		Concurrency:       p.Limits.Concurrency,
	}
}

// providerPrint covers what the client is made of: the content of the TLS files
// rather than their names, since certificates are renewed in place.
func providerPrint(p *config.Provider, pr *printer) (refresher.Fingerprint, error) {
	pr.begin("provider").str(p.TokenEndpoint).dur(p.Timeout).any(p.AllowInsecureHTTP).any(p.Response).num(int64(p.Limits.Concurrency))
	for _, grantType := range slices.Sorted(maps.Keys(p.Requests)) {
		r := p.Requests[grantType]
		pr.str(grantType, r.Method, r.ParamsIn, r.ClientAuth, r.BasicEncoding)
		pr.secrets(r.Headers).secrets(r.Query).secrets(r.Params)
	}
	for _, file := range []string{p.TLS.CAFile, p.TLS.CertFile, p.TLS.KeyFile} {
		content := []byte{}
		if file != "" {
			var err error
			if content, err = os.ReadFile(file); err != nil {
				return refresher.Fingerprint{}, fmt.Errorf("reading a tls file: %w", err)
			}
		}
		pr.str(file, string(content))
	}
	return pr.sum(), nil
}

// binding fingerprints who logs in, where and for what. It is stored with the
// refresh token, so it has no salt; it covers no secret either. A family that
// began with a configured refresh token is bound to endpoint and client alone:
// the rest was decided when a person consented to it.
func binding(t *config.Token) string {
	h := sha256.New()
	add := func(values ...string) {
		for _, v := range values {
			fmt.Fprintf(h, "%d:%s,", len(v), v)
		}
	}
	add(t.Provider.TokenEndpoint, t.ClientID, t.Grant.Kind)
	if t.Grant.Kind != "refresh_token" {
		for _, name := range slices.Sorted(maps.Keys(t.Grant.Params)) {
			if !secretParam(name) {
				add(name, t.Grant.Params[name].Reveal())
			}
		}
		if len(t.Grant.Scope) > 0 {
			_, _ = h.Write([]byte(";")) // no parameter begins so: scope is not mistaken for one
			add(t.Grant.Scope...)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
