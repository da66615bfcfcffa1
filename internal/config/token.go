package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/tokend-project/tokend/internal/token"
)

var (
	tokenSchema = schema{
		attrs:    []string{"provider", "client_id", "client_secret"},
		required: []string{"provider"},
		blocks: []blockType{
			{name: "grant", label: "grant_type"}, {name: "schedule"}, {name: "probe"},
			{name: "sink", label: "kind"}, {name: "on_update"},
		},
	}
	grantSchema    = schema{open: true}
	scheduleSchema = schema{attrs: []string{"refresh_at", "jitter", "lead", "min_interval", "cron", "login_cron"}}
	probeSchema    = schema{attrs: []string{"url", "method", "headers", "every", "timeout", "allow_insecure_http"}, required: []string{"url"}}
	onUpdateSchema = schema{attrs: []string{"command", "timeout"}, required: []string{"command"}}
)

// tokenDraft is a token and where its parts stand, until it is validated.
type tokenDraft struct {
	section
	tok      *Token
	provider *providerDraft // nil when there is no such provider
	grant    section
	schedule section
	probe    section
	onUpdate section
	sinks    []section // as tok.Sinks
}

func (d *decoder) tokens(all []section, providers map[string]*providerDraft) []tokenDraft {
	known := slices.Sorted(maps.Keys(providers))
	unique := d.unique("token", all)
	drafts := make([]tokenDraft, len(unique))
	for i, s := range unique {
		drafts[i] = d.token(s, providers, known)
	}
	return drafts
}

func (d *decoder) token(s section, providers map[string]*providerDraft, known []string) tokenDraft {
	t := tokenDraft{section: s, tok: &Token{Name: s.label}}
	blocks := d.blocks(s.body, &tokenSchema)
	name := ""
	s.str("provider", &name)
	s.demand("provider", name != "")
	if t.provider = providers[name]; t.provider != nil {
		t.tok.Provider = t.provider.Provider
		t.tok.ClientID = t.provider.ClientID
		t.tok.ClientSecret = t.provider.ClientSecret
		t.tok.Schedule = t.provider.Schedule
	} else if name != "" {
		s.fault("provider", "Unknown provider", fmt.Sprintf("There is no provider of that name: %s.%s", s.quote("provider", name), didYouMean(name, known)))
	}
	s.str("client_id", &t.tok.ClientID)
	s.secret("client_secret", &t.tok.ClientSecret)
	t.grant = d.grant(blocks.of("grant"), s, &t.tok.Grant)
	if sched, ok := d.onlyBlock(blocks.of("schedule"), "schedule", &scheduleSchema); ok {
		t.schedule = sched
		d.schedule(sched, &t.tok.Schedule)
	}
	if probe, ok := d.onlyBlock(blocks.of("probe"), "probe", &probeSchema); ok {
		t.probe = probe
		t.tok.Probe = share(d, probe, decodeProbe)
	}
	if hook, ok := d.onlyBlock(blocks.of("on_update"), "on_update", &onUpdateSchema); ok {
		t.onUpdate = hook
		t.tok.OnUpdate = share(d, hook, decodeOnUpdate)
	}
	t.sinks, t.tok.Sinks = d.sinks(blocks.of("sink"))
	return t
}

// share decodes a block once for all elements of a fleet when nothing in it
// depends on the element.
func share[T any](d *decoder, s section, decode func(section) T) T {
	if known, ok := d.shared[s.syn].(T); ok {
		return known
	}
	value := decode(s)
	if d.isConstant(s.syn) {
		d.shared[s.syn] = value
	}
	return value
}

func (d *decoder) grant(all blockList, tok section, dst *Grant) section {
	if len(all) == 0 {
		d.fault(tok.defRange, "Missing grant block", tok.note(fmt.Sprintf(
			"The token %q has no grant, which says how to log in: grant \"client_credentials\" {}, grant \"password\" { … }, or any other grant_type.", tok.label)))
		return section{}
	}
	s, _ := d.onlyBlock(all, "grant", &grantSchema)
	*dst = share(d, s, decodeGrant)
	dst.Kind = s.label
	return s
}

func decodeGrant(s section) Grant {
	var g Grant
	for name := range s.syn.Attributes {
		if name == "scope" {
			g.Scope = s.scope()
			continue
		}
		var value token.Secret
		if s.secret(name, &value) {
			if g.Params == nil {
				g.Params = make(map[string]token.Secret, len(s.syn.Attributes))
			}
			g.Params[name] = value
		}
	}
	return g
}

// scope reads a list of scopes, or a text with spaces between them (RFC 6749
// section 3.3).
func (s section) scope() []string {
	val, ok := s.value("scope", false)
	if !ok {
		return nil
	}
	if plain, _ := val.Unmark(); plain.Type() == cty.String {
		return strings.Fields(plain.AsString())
	}
	var list []string
	s.texts("scope", &list)
	return list
}

func (d *decoder) schedule(s section, dst *Schedule) {
	s.number("refresh_at", &dst.RefreshAt)
	s.number("jitter", &dst.Jitter)
	s.duration("lead", &dst.Lead)
	s.duration("min_interval", &dst.MinInterval)
	s.texts("cron", &dst.Cron)
	s.texts("login_cron", &dst.LoginCron)
}

func decodeProbe(s section) *Probe {
	p := &Probe{Method: "GET", Every: time.Minute, Timeout: 10 * time.Second}
	s.str("url", &p.URL)
	s.str("method", &p.Method)
	s.secrets("headers", &p.Headers, headerKey)
	s.duration("every", &p.Every)
	s.duration("timeout", &p.Timeout)
	s.boolean("allow_insecure_http", &p.AllowInsecureHTTP)
	return p
}

func decodeOnUpdate(s section) *OnUpdate {
	h := &OnUpdate{Timeout: 30 * time.Second}
	s.texts("command", &h.Command)
	s.duration("timeout", &h.Timeout)
	return h
}
