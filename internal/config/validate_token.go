package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

func (d *decoder) validateTokens(all []tokenDraft, taken *targets) {
	for i := range all {
		d.validateToken(&all[i])
		d.validateSinks(&all[i], taken)
	}
}

func (d *decoder) validateToken(t *tokenDraft) {
	if t.isEmpty("client_secret", t.tok.ClientSecret) {
		t.fault("client_secret", "Empty secret", "The client_secret is empty. Leave it out to use the provider's, or give it a value.")
	}
	if t.grant.block != nil {
		d.validateGrant(t)
	}
	if t.schedule.block != nil && t.provider != nil {
		d.validateSchedule(t.tok.Schedule, func(key string) (hcl.Range, bool) { return t.schedule.at(key), t.schedule.has(key) })
		if lead, lifetime := t.tok.Schedule.Lead, t.provider.Response.DefaultLifetime; t.schedule.has("lead") && lifetime > 0 && lead >= lifetime {
			d.warn(t.schedule.at("lead"), "Lead longer than the lifetime", t.schedule.note(fmt.Sprintf(
				"A token of the provider's default_lifetime, %s, would be due for refresh from its first second on; the lead is cut to half of a lifetime then.", lifetime)))
		}
	}
	if t.provider != nil && t.grant.block != nil {
		t.provider.used[t.tok.Grant.Kind] = struct{}{}
		d.validateClient(t)
		d.validateCollisions(t)
	}
	if t.probe.block != nil {
		d.validateProbe(t.probe, t.tok.Probe)
	}
	if t.onUpdate.block != nil {
		d.validateOnUpdate(t.onUpdate, t.tok.OnUpdate)
	}
}

// neededParams are what the grants of RFC 6749 cannot do without.
var neededParams = map[string][]string{
	"client_credentials": nil,                      // section 4.4.2
	"password":           {"username", "password"}, // section 4.3.2
	"refresh_token":      {"refresh_token"},        // section 6
}

func (d *decoder) validateGrant(t *tokenDraft) {
	grant, s := t.tok.Grant, t.grant
	if !plausibleGrantType(grant.Kind) {
		d.fault(s.labelRange, "Unsuitable grant_type", s.note(fmt.Sprintf("%s cannot be a grant_type: it is a name of letters, digits, dots, underscores and hyphens, or a URI (RFC 6749 section 4.5).", s.name())))
		return
	}
	needed, known := neededParams[grant.Kind]
	if !known {
		d.warnUnusual(s, grant.Kind)
	}
	for _, name := range needed {
		if _, ok := grant.Params[name]; !ok && (!s.has(name) || s.isGood(name)) {
			d.fault(s.defRange, "Missing grant parameter", s.note(fmt.Sprintf("The grant %s needs %s.", s.name(), quotedList(needed))))
			break
		}
	}
	if grant.Kind == "refresh_token" && t.provider != nil && !t.provider.RefreshTokens.Use {
		d.fault(s.labelRange, "Grant that could do nothing", s.note(fmt.Sprintf(
			"The grant %s spends refresh tokens, and refresh_tokens.use is false in provider %q. Set it to true, or use a grant that logs in.", s.name(), t.provider.Name)))
	}
	for name := range grant.Params {
		d.validateGrantParam(s, grant, name)
	}
	for _, scope := range grant.Scope {
		if !scopeToken.MatchString(scope) {
			s.fault("scope", "Unsuitable scope", "A scope is printable ASCII without spaces, quotes and backslashes (RFC 6749 section 3.3).")
			break
		}
	}
}

// warnUnusual points at a grant_type that is nearly a well-known one.
func (d *decoder) warnUnusual(s section, kind string) {
	if hint := didYouMean(kind, slices.Sorted(maps.Keys(neededParams))); hint != "" {
		d.warn(s.labelRange, "Unusual grant_type", s.note(fmt.Sprintf("%s will be sent as it is.%s", s.name(), hint)))
	}
}

func (d *decoder) validateGrantParam(s section, grant Grant, name string) {
	own := grant.Kind == "refresh_token" && name == "refresh_token"
	switch {
	case slices.Contains(reservedParams, name) && !own:
		s.fault(name, "Parameter that tokend sets", fmt.Sprintf("%q is set by tokend. Set client_id and client_secret in the token or provider, beside the grant.", name))
	case grant.Params[name].IsEmpty():
		s.fault(name, "Empty secret", fmt.Sprintf("%q is empty.", name))
	}
}

// validateClient has every kind of request that the token makes find the client
// credentials it needs.
func (d *decoder) validateClient(t *tokenDraft) {
	for _, kind := range [...]string{t.tok.Grant.Kind, "refresh_token"} {
		if kind == "refresh_token" && kind != t.tok.Grant.Kind && !t.provider.RefreshTokens.Use {
			continue
		}
		auth := t.provider.RequestFor(kind).ClientAuth
		switch {
		case auth == "none" && (t.tok.ClientID != "" || kind != "client_credentials"):
		case t.tok.ClientID == "":
			d.fault(t.defRange, "Missing client_id", t.note(fmt.Sprintf("Token %q needs a client_id for its %s request: set it in the token, or in provider %q.", t.label, kind, t.provider.Name)))
			return
		case auth != "none" && t.tok.ClientSecret.IsEmpty() && !t.failedSecret():
			d.fault(t.defRange, "Missing client_secret", t.note(fmt.Sprintf("Token %q needs a client_secret, since client_auth is %q: set it in the token or in provider %q, or set client_auth = \"none\" for a public client.", t.label, auth, t.provider.Name)))
			return
		}
	}
}

// failedSecret reports whether a client_secret is written, but at fault already.
func (t *tokenDraft) failedSecret() bool {
	return t.has("client_secret") || t.provider.has("client_secret")
}

// validateCollisions refuses a parameter that would go into the query twice.
func (d *decoder) validateCollisions(t *tokenDraft) {
	req := t.provider.RequestFor(t.tok.Grant.Kind)
	if req.ParamsIn != "query" || len(req.Query) == 0 {
		return
	}
	for name := range t.tok.Grant.Params {
		if _, twice := req.Query[name]; twice {
			t.grant.fault(name, "Parameter sent twice", fmt.Sprintf("%.64q is in the provider's request.query too, and both go to the query (RFC 6749 section 3.2).", name))
		}
	}
}

func (d *decoder) validateProbe(s section, p *Probe) {
	s.demand("url", p.URL != "")
	if p.URL != "" {
		d.validateURL(s, "url", p.URL, p.AllowInsecureHTTP)
	}
	if !methodName.MatchString(p.Method) {
		s.fault("method", "Unsuitable method", "A method is in capitals, such as \"GET\" or \"HEAD\".")
	}
	if p.Every <= 0 {
		s.fault("every", "Unsuitable interval", "A probe needs an interval longer than nothing, such as \"1m\".")
	}
	if p.Timeout <= 0 {
		s.fault("timeout", "Unsuitable timeout", "A timeout must be longer than nothing.")
	}
	d.validateHeaders(s, p.Headers, append(slices.Clip(reservedHeaders), "Authorization"))
}

func (d *decoder) validateOnUpdate(s section, h *OnUpdate) {
	switch {
	case s.isGood("command") && (len(h.Command) == 0 || h.Command[0] == ""):
		s.fault("command", "Unsuitable command", "A command is a list: the program, then its arguments. It is not given to a shell.")
	case slices.ContainsFunc(h.Command, func(arg string) bool { return strings.ContainsRune(arg, 0) }):
		s.fault("command", "Unsuitable command", "An argument holds no NUL.")
	}
	if h.Timeout <= 0 {
		s.fault("timeout", "Unsuitable timeout", "A timeout must be longer than nothing.")
	}
}
