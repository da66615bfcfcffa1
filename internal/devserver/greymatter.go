package devserver

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
)

const (
	// greymatterBasic is documented as a fixed string. It is a public client's
	// id and secret; who logs in is decided by username and password.
	greymatterBasic = "Basic YnV0bGVyOmJ1dGxlcg=="
	greymatterJSON  = "application/json;charset=UTF-8"
)

// greymatterToken serves the token endpoint: a POST with all parameters in the
// URL or all in a form, answered as Accept asks.
func (s *Server) greymatterToken(r *http.Request, body []byte) reply {
	say := greymatterSpeech(r)
	if r.Method != http.MethodPost {
		return say.refuse(&refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", text: "use POST"})
	}
	if r.Header.Get("Authorization") != greymatterBasic {
		return say.refuse(&refusal{status: http.StatusUnauthorized, code: "unauthorized", text: "Authorization must be the documented fixed string"})
	}
	p, no := greymatterParams(r, body)
	if no != nil {
		return say.refuse(no)
	}
	grant := p.get("grant_type")
	if no := p.expect(p.forGrant()); no != nil {
		return say.refuse(no).of(grant)
	}
	// The key of the first JWT takes a while to make. It is made before the
	// server's lock is taken, and a failure is met again under it.
	_, _ = s.signer()
	out, no := s.grant(GreyMatter, p.demand("butler"))
	if no != nil {
		return say.refuse(no).of(grant)
	}
	return say.answer(grant, out)
}

func greymatterParams(r *http.Request, body []byte) (params, *refusal) {
	kind := contentType(r)
	switch {
	case kind == "":
		return params{}, &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", text: "the Content-Type header is mandatory"}
	case len(body) == 0:
		return queryParams(r)
	case kind != "application/x-www-form-urlencoded":
		return params{}, &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", text: "a form needs Content-Type: application/x-www-form-urlencoded"}
	case r.URL.RawQuery != "":
		return params{}, badRequest("parameters go into the URL or into the form, not into both")
	default:
		return formParams(body)
	}
}

// speech is the media type of an answer.
type speech struct{ json bool }

func greymatterSpeech(r *http.Request) speech {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return speech{json: strings.Contains(accept, "application/json")}
}

// greymatterField is one field of an answer; XML wants them in order.
type greymatterField struct {
	name  string
	value any
}

func (sp speech) reply(status int, fields ...greymatterField) reply {
	if !sp.json {
		return reply{status: status, contentType: "application/xml;charset=UTF-8", body: xmlBody(fields)}
	}
	object := make(map[string]any, len(fields))
	for _, f := range fields {
		object[f.name] = f.value
	}
	return jsonReply(status, greymatterJSON, object)
}

func xmlBody(fields []greymatterField) []byte {
	var b strings.Builder
	b.WriteString("<oauth>")
	for _, f := range fields {
		fmt.Fprintf(&b, "<%s>", f.name)
		_ = xml.EscapeText(&b, fmt.Append(nil, f.value)) // a Builder's Write never fails
		fmt.Fprintf(&b, "</%s>", f.name)
	}
	b.WriteString("</oauth>")
	return []byte(b.String())
}

func (sp speech) answer(grant string, out *issued) reply {
	return sp.reply(http.StatusOK,
		greymatterField{"access_token", out.access},
		greymatterField{"token_type", "bearer"},
		greymatterField{"refresh_token", out.refresh},
		greymatterField{"expires_in", out.expiresIn},
		greymatterField{"scope", "openid"},
		greymatterField{"user_id", -1},
		greymatterField{"jti", out.id},
	).granted(grant, out)
}

func (sp speech) refuse(no *refusal) reply {
	return sp.reply(no.status, greymatterField{"error", no.code}, greymatterField{"error_description", no.text}).refused(no)
}

func (s *Server) greymatterResource(r *http.Request, _ []byte) reply {
	if r.Method != http.MethodGet {
		return speech{json: true}.refuse(&refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", text: "use GET"}).of(resourceVisit)
	}
	return s.judge(GreyMatter, r, map[string]any{"items": []any{}, "total": 0})
}
