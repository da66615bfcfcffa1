package config

import (
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

var (
	methods   = []string{"POST", "GET"}
	places    = []string{"form", "query", "json"}
	encodings = []string{"rfc6749", "raw"}
)

func (d *decoder) validateProviders(all map[string]*providerDraft) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d.validateProvider(all[name])
	}
}

func (d *decoder) validateProvider(p *providerDraft) {
	if p.TokenEndpoint == "" {
		d.fault(p.place("token_endpoint"), "Missing token_endpoint", fmt.Sprintf("Provider %q needs the address of its token endpoint: token_endpoint = \"https://…\".", p.Name))
	} else {
		d.validateURL(p.section, "token_endpoint", p.TokenEndpoint, p.AllowInsecureHTTP)
	}
	if p.Timeout <= 0 {
		d.fault(p.place("timeout"), "Unsuitable timeout", "A timeout must be longer than nothing.")
	}
	if p.isEmpty("client_secret", p.ClientSecret) {
		p.fault("client_secret", "Empty secret", "The client_secret is empty. Leave it out for a public client (client_auth = \"none\"), or give it a value.")
	}
	d.validateSchedule(p.Schedule, func(key string) (hcl.Range, bool) { return p.place("schedule." + key), true })
	d.validateResponse(p)
	if p.Limits.Concurrency < 1 {
		d.fault(p.place("limits.concurrency"), "Unsuitable limit", "At least one request must be allowed at a time.")
	}
	if !(p.Limits.Rate >= 0) {
		d.fault(p.place("limits.rate"), "Unsuitable limit", "A rate is a number of requests per second, or 0 for no limit.")
	}
	d.validateTLS(func(key string) hcl.Range { return p.place(strings.TrimSuffix("tls."+key, ".")) }, p.TLS)
	if at, ok := p.at["tls"]; ok {
		d.warnIdleTLS(at, p.TokenEndpoint)
	}
	for _, grantType := range slices.Sorted(maps.Keys(p.requests)) {
		d.validateRequest(p, p.requests[grantType])
	}
}

func (d *decoder) validateResponse(p *providerDraft) {
	r := p.Response
	if r.DefaultLifetime <= 0 {
		d.fault(p.place("response.default_lifetime"), "Unsuitable lifetime", "The default_lifetime must be longer than nothing.")
	} else if lead := p.Schedule.Lead; lead >= r.DefaultLifetime {
		d.warn(p.place("schedule.lead"), "Lead longer than the lifetime", fmt.Sprintf(
			"A token of the default_lifetime, %s, would be due for refresh from its first second on. The lead of %s is cut to half of a lifetime then; shorten it.", r.DefaultLifetime, lead))
	}
	for name, path := range map[string]string{"access_token": r.AccessToken, "refresh_token": r.RefreshToken, "expires_in": r.ExpiresIn, "token_type": r.TokenType, "scope": r.Scope} {
		if !fieldPath.MatchString(path) {
			d.fault(p.place("response."+name), "Unsuitable field", fmt.Sprintf("%q must be the name of a field, or a dotted path such as \"data.token\".", name))
		}
	}
}

// validateTLS judges a tls block; place tells where a key of it stands, or with
// "" the block.
func (d *decoder) validateTLS(place func(key string) hcl.Range, tls TLS) {
	if (tls.CertFile == "") != (tls.KeyFile == "") {
		d.fault(place(""), "Half a client certificate", "A client certificate needs both cert_file and key_file.")
	}
	for name, path := range map[string]string{"ca_file": tls.CAFile, "cert_file": tls.CertFile, "key_file": tls.KeyFile} {
		if path == "" {
			continue
		}
		in, at := d.input(path), place(name)
		switch {
		case in.err != nil:
			d.fault(at, "Cannot read PEM file", fmt.Sprintf("%s: %v.", d.quote(at, in.name), in.err))
		case !holdsPEM(in.text):
			d.fault(at, "No PEM file", fmt.Sprintf("%s holds no PEM block.", d.quote(at, in.name)))
		case name == "key_file" && in.mode&0o004 != 0:
			d.fault(at, "World-readable secret file", worldReadable(in))
		}
	}
}

// longestLead is more than any consumer's poll period.
const longestLead = 24 * time.Hour

func holdsPEM(text string) bool {
	block, _ := pem.Decode([]byte(text))
	return block != nil
}
