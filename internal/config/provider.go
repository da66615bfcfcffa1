package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

var (
	providerSchema = schema{
		attrs: []string{"profile", "token_endpoint", "client_id", "client_secret", "timeout", "allow_insecure_http"},
		blocks: []blockType{
			{name: "request", label: "grant_type", optional: true},
			{name: "response"}, {name: "refresh_tokens"}, {name: "schedule"}, {name: "limits"}, {name: "tls"},
		},
	}
	requestSchema       = schema{attrs: []string{"method", "params_in", "client_auth", "basic_encoding", "headers", "query", "params"}}
	responseSchema      = schema{attrs: []string{"access_token", "refresh_token", "expires_in", "token_type", "scope", "default_lifetime"}}
	refreshTokensSchema = schema{attrs: []string{"use", "grace"}}
	limitsSchema        = schema{attrs: []string{"concurrency", "rate"}}
	tlsSchema           = schema{attrs: []string{"ca_file", "cert_file", "key_file"}}
)

// providerDraft is a provider and where its parts stand, until it is validated.
type providerDraft struct {
	*Provider
	section                           // the provider block itself
	at       map[string]hcl.Range     // by "block.key", of what the user or a profile wrote last
	used     map[string]struct{}      // grant_types of the provider's tokens
	requests map[string]*requestDraft // by grant_type
	layers   []layer                  // rfc6749, the profile, the provider
}

// requestDraft is a request with the places of its keys.
type requestDraft struct {
	Request
	at map[string]section
}

// layer is one piece of configuration for a provider, with its blocks.
type layer struct {
	section
	blocks  blockList
	profile bool
}

// place is where a key was set, or the provider block.
func (p *providerDraft) place(key string) hcl.Range {
	if at, ok := p.at[key]; ok {
		return at
	}
	return p.defRange
}

func (d *decoder) providers(all []section) map[string]*providerDraft {
	drafts := map[string]*providerDraft{}
	for _, s := range d.unique("provider", all) {
		drafts[s.label] = d.provider(s)
	}
	return drafts
}

func (d *decoder) provider(s section) *providerDraft {
	p := &providerDraft{
		Provider: &Provider{Name: s.label, Profile: baseProfile},
		section:  s,
		at:       map[string]hcl.Range{},
		used:     map[string]struct{}{},
		requests: map[string]*requestDraft{},
	}
	s.oneOf("profile", &p.Profile, d.profileNames())
	p.layers = []layer{d.profile(baseProfile)}
	if p.Profile != baseProfile {
		p.layers = append(p.layers, d.profile(p.Profile))
	}
	p.layers = append(p.layers, layer{section: s, blocks: d.blocks(s.body, &providerSchema)})
	for _, l := range p.layers {
		d.layProvider(p, l)
	}
	d.layRequests(p)
	return p
}

// layProvider sets what one layer says.
func (d *decoder) layProvider(p *providerDraft, l layer) {
	l.str("token_endpoint", &p.TokenEndpoint)
	l.str("client_id", &p.ClientID)
	l.secret("client_secret", &p.ClientSecret)
	l.duration("timeout", &p.Timeout)
	l.boolean("allow_insecure_http", &p.AllowInsecureHTTP)
	p.remember("", l.section)
	if s, ok := d.one(p, l, "response", &responseSchema); ok {
		s.str("access_token", &p.Response.AccessToken)
		s.str("refresh_token", &p.Response.RefreshToken)
		s.str("expires_in", &p.Response.ExpiresIn)
		s.str("token_type", &p.Response.TokenType)
		s.str("scope", &p.Response.Scope)
		s.duration("default_lifetime", &p.Response.DefaultLifetime)
	}
	if s, ok := d.one(p, l, "refresh_tokens", &refreshTokensSchema); ok {
		s.boolean("use", &p.RefreshTokens.Use)
		s.duration("grace", &p.RefreshTokens.Grace)
	}
	if s, ok := d.one(p, l, "schedule", &scheduleSchema); ok {
		d.schedule(s, &p.Schedule)
	}
	if s, ok := d.one(p, l, "limits", &limitsSchema); ok {
		s.integer("concurrency", &p.Limits.Concurrency)
		s.number("rate", &p.Limits.Rate)
	}
	if s, ok := d.one(p, l, "tls", &tlsSchema); ok {
		s.readPath("ca_file", &p.TLS.CAFile)
		s.readPath("cert_file", &p.TLS.CertFile)
		s.readPath("key_file", &p.TLS.KeyFile)
	}
}

// remember keeps where the keys of a block stand.
func (p *providerDraft) remember(typ string, s section) {
	prefix := ""
	if typ != "" {
		prefix = typ + "."
		p.at[typ] = s.defRange
	}
	for name, attr := range s.syn.Attributes {
		p.at[prefix+name] = attr.Expr.Range()
	}
}

// one opens the only block of a type in a layer.
func (d *decoder) one(p *providerDraft, l layer, typ string, sch *schema) (section, bool) {
	s, ok := d.onlyBlock(l.blocks.of(typ), typ, sch)
	if ok {
		p.remember(typ, s)
	}
	return s, ok
}

func (d *decoder) onlyBlock(all blockList, typ string, sch *schema) (section, bool) {
	if len(all) == 0 {
		return section{}, false
	}
	for _, second := range all[1:] {
		d.fault(second.defRange, fmt.Sprintf("Second %s block", typ),
			second.note(fmt.Sprintf("There is one %s block at most here, and the first stands at %s.", typ, lineOf(all[0].defRange))))
	}
	d.blocks(all[0].body, sch)
	return section{block: all[0], d: d}, true
}

// layRequests makes one complete request for every grant_type that any layer
// mentions: within a layer, what has a label lies upon what has none.
func (d *decoder) layRequests(p *providerDraft) {
	p.requests[""] = &requestDraft{at: map[string]section{}}
	for _, l := range p.layers {
		var labels []string
		for _, blk := range l.blocks.of("request") {
			d.blocks(blk.body, &requestSchema)
			if slices.Contains(labels, blk.label) {
				d.fault(blk.defRange, "Second request block", "There is one request block for each grant_type, and one without a label.")
			}
			if blk.label != "" && !plausibleGrantType(blk.label) {
				d.fault(blk.labelRange, "Unsuitable grant_type", fmt.Sprintf("%s cannot be a grant_type (RFC 6749 appendix A.10).", blk.name()))
			}
			labels = append(labels, blk.label)
			if p.requests[blk.label] == nil {
				p.requests[blk.label] = &requestDraft{at: map[string]section{}}
			}
		}
	}
	p.Requests = make(map[string]Request, len(p.requests))
	for grantType, draft := range p.requests {
		for _, l := range p.layers {
			layRequest(draft, l, "")
			if grantType != "" {
				layRequest(draft, l, grantType)
			}
		}
		p.Requests[grantType] = draft.Request
	}
}

func layRequest(r *requestDraft, l layer, label string) {
	for _, blk := range l.blocks.of("request") {
		if blk.label != label {
			continue
		}
		s := section{block: blk, d: l.d}
		s.oneOf("method", &r.Method, methods)
		s.oneOf("params_in", &r.ParamsIn, places)
		s.clientAuth(&r.ClientAuth)
		s.oneOf("basic_encoding", &r.BasicEncoding, encodings)
		s.secrets("headers", &r.Headers, headerKey)
		s.secrets("query", &r.Query, sameKey)
		s.secrets("params", &r.Params, sameKey)
		for name := range s.syn.Attributes {
			if !l.profile || r.at[name].block == nil {
				r.at[name] = s
			}
		}
		return
	}
}
