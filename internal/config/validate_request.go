package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/tokend-project/tokend/internal/token"
)

// clientAuths are the methods of RFC 7591 section 2 that tokend speaks.
var clientAuths = []string{"client_secret_basic", "client_secret_post", "none"}

// otherClientAuths are registered (RFC 7591, OpenID Connect Core section 9, RFC
// 8705), but not spoken.
var otherClientAuths = []string{"client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}

// reservedParams are set by tokend itself in a token request.
var reservedParams = []string{"grant_type", "client_id", "client_secret", "refresh_token", "client_assertion", "client_assertion_type"}

// reservedHeaders are those that the transport decides.
var reservedHeaders = []string{"Host", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Expect", "Te", "Trailer", "Upgrade", "Accept-Encoding"}

func (s section) clientAuth(dst *string) {
	if !s.has("client_auth") {
		return
	}
	given := *dst
	s.str("client_auth", &given)
	if slices.Contains(otherClientAuths, given) {
		s.fault("client_auth", "Unsupported client authentication", fmt.Sprintf("%q is not supported; what is: %s.", given, quotedList(clientAuths)))
		return
	}
	s.oneOf("client_auth", dst, clientAuths)
}

// validateRequest judges a complete request. Its keys may come from the
// provider's blocks or its profile's; faults are told at the user's.
func (d *decoder) validateRequest(p *providerDraft, r *requestDraft) {
	if r.Method == "GET" && r.ParamsIn != "query" {
		d.fault(r.place(p, "params_in", "method"), "GET without query", fmt.Sprintf(
			"A GET has no body, so params_in = %q cannot be had with it. Write params_in = \"query\", or method = \"POST\".", r.ParamsIn))
	}
	d.validateParams(p, r, "params", r.Params)
	d.validateParams(p, r, "query", r.Query)
	if r.ParamsIn == "query" {
		for _, name := range slices.Sorted(maps.Keys(r.Params)) {
			if _, twice := r.Query[name]; twice {
				at := r.place(p, "params", "query")
				d.fault(at, "Parameter sent twice", fmt.Sprintf(
					"%s is in query and in params, which go to the query too (RFC 6749 section 3.2: parameters must not be sent twice).", d.quote(at, name)))
			}
		}
	}
	reserved := append(slices.Clip(reservedHeaders), "Content-Type") // where the parameters go decides it
	if r.ClientAuth == "client_secret_basic" {
		reserved = append(slices.Clip(reserved), "Authorization")
	}
	d.validateHeaders(r.section(p, "headers"), r.Headers, reserved)
}

// validateLabels points at requests that no token of the provider ever makes.
func (d *decoder) validateLabels(p *providerDraft) {
	if len(p.used) == 0 {
		return
	}
	if p.RefreshTokens.Use {
		p.used["refresh_token"] = struct{}{}
	}
	for _, l := range p.layers {
		for _, blk := range l.blocks.of("request") {
			if _, used := p.used[blk.label]; !used && blk.label != "" && !l.profile {
				d.warn(blk.labelRange, "Unused request block", fmt.Sprintf("No token of provider %q makes a %s request.%s", p.Name, blk.name(), didYouMean(blk.label, slices.Sorted(maps.Keys(p.used)))))
			}
		}
	}
}

// section is the block that set the first of keys, the user's before the
// profile's.
func (r *requestDraft) section(p *providerDraft, keys ...string) section {
	for _, key := range keys {
		if s := r.at[key]; s.block != nil && !strings.HasPrefix(s.defRange.Filename, profileDir) {
			return s
		}
	}
	return p.section
}

func (r *requestDraft) place(p *providerDraft, keys ...string) hcl.Range {
	s := r.section(p, keys...)
	for _, key := range keys {
		if s.has(key) {
			return s.at(key)
		}
	}
	return s.defRange
}

func (d *decoder) validateParams(p *providerDraft, r *requestDraft, key string, params map[string]token.Secret) {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		switch {
		case name == "":
			d.fault(r.place(p, key), "Unsuitable parameter", "A parameter has a name.")
		case slices.Contains(reservedParams, name):
			d.fault(r.place(p, key), "Parameter that tokend sets", fmt.Sprintf(
				"%q is set by tokend. Use client_id, client_secret, client_auth and the grant block to say what it is.", name))
		}
	}
}

func (d *decoder) validateHeaders(s section, headers map[string]token.Secret, reserved []string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		switch {
		case !headerName.MatchString(name):
			s.fault("headers", "Unsuitable header", fmt.Sprintf("%s cannot be the name of a header.", s.quote("headers", name)))
		case slices.Contains(reserved, name):
			s.fault("headers", "Header that tokend sets", fmt.Sprintf("%s is set by tokend, and cannot be set here.", name))
		case strings.ContainsFunc(headers[name].Reveal(), isControl):
			s.fault("headers", "Unsuitable header", fmt.Sprintf("The value of %s holds a control character, such as a line break.", s.quote("headers", name)))
		}
	}
}

// isControl reports what no header value may hold (RFC 9110 section 5.5).
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
