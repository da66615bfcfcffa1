package devserver

import (
	"net/http"
	"net/url"
)

const (
	ratorBrand       = "BRAND1"
	ratorBrandHeader = "X-RATOR-brand-key"
)

// ratorToken serves the token endpoint: logins with everything in the query and
// brand_key among it, refreshes as a form in which it is spelt brandKey.
func (s *Server) ratorToken(r *http.Request, body []byte) reply {
	if r.Method != http.MethodPost {
		return oauthRefuse(&refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", text: "use POST"})
	}
	clientID, no := s.ratorClient(r)
	if no != nil {
		return oauthRefuse(no)
	}
	p, no := s.ratorParams(r, body)
	grant := p.get("grant_type")
	if no != nil {
		return oauthRefuse(no).of(grant)
	}
	out, no := s.grant(Rator, p.demand(clientID))
	if no != nil {
		return oauthRefuse(no).of(grant)
	}
	return ratorAnswer(grant, out)
}

// ratorClient authenticates by HTTP Basic as curl -u sends it: id and secret as
// they are, not form-encoded first as RFC 6749 section 2.3.1 has it.
func (s *Server) ratorClient(r *http.Request) (id string, no *refusal) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", ratorUnauthorized("client id and secret are missing: send them by HTTP Basic")
	}
	if s.knowsClient(Rator, id, secret) {
		return id, nil
	}
	if plain, err := url.QueryUnescape(secret); err == nil && s.knowsClient(Rator, id, plain) {
		return "", ratorUnauthorized("the client secret is form-encoded: send it as it is")
	}
	return "", ratorUnauthorized("Bad client credentials")
}

func ratorUnauthorized(text string) *refusal {
	return &refusal{status: http.StatusUnauthorized, code: "invalid_client", text: text}
}

func (s *Server) ratorParams(r *http.Request, body []byte) (params, *refusal) {
	query, no := queryParams(r)
	if no != nil {
		return query, no
	}
	form, no := formParams(body)
	if no != nil {
		return query, no
	}
	if form.get("grant_type") == grantRefresh {
		return form, ratorRefreshShape(r, query, form)
	}
	return query, s.ratorLoginShape(query, form)
}

func (s *Server) ratorLoginShape(query, form params) *refusal {
	switch {
	case query.get("grant_type") == grantRefresh:
		return badRequest("a refresh has its parameters in the form, not in the query")
	case len(form.values) > 0:
		return badRequest("a login has its parameters in the query, not in the form")
	case query.has("brandKey"):
		return badRequest("a login spells it brand_key in the query, not brandKey")
	}
	required := query.forGrant("brand_key")
	optional := []string{"scope"}
	if query.get("grant_type") == grantClient {
		optional = append(optional, "operator")
		if s.options.RequireOperator {
			required = append(required, "operator")
		}
	}
	if no := query.expect(required, optional...); no != nil {
		return no
	}
	if query.has("operator") && !s.isOperator(query.get("operator")) {
		return badRequest("operator names no operator")
	}
	return ratorBrandOf(query.get("brand_key"))
}

// ratorRefreshShape lets brand_key stand in the query too: the document calls it
// mandatory on every request, and shows the refresh without it.
func ratorRefreshShape(r *http.Request, query, form params) *refusal {
	switch {
	case contentType(r) != "application/x-www-form-urlencoded":
		return &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", text: "a form needs Content-Type: application/x-www-form-urlencoded"}
	case form.has("brand_key"):
		return badRequest("a refresh spells it brandKey in the form, not brand_key")
	}
	if no := form.expect([]string{"grant_type", "refresh_token", "brandKey"}); no != nil {
		return no
	}
	if no := query.expect(nil, "brand_key"); no != nil {
		return no
	}
	if query.has("brand_key") && query.get("brand_key") != form.get("brandKey") {
		return badRequest("brand_key in the query and brandKey in the form differ")
	}
	return ratorBrandOf(form.get("brandKey"))
}

func ratorBrandOf(key string) *refusal {
	if key != ratorBrand {
		return badRequest("the brand is not known here; it is " + ratorBrand)
	}
	return nil
}

func (s *Server) isOperator(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.books[Rator].account(name)
	return a != nil && a.grant == grantOperator
}

func ratorAnswer(grant string, out *issued) reply {
	answer := map[string]any{
		"access_token": out.access,
		"token_type":   "bearer",
		"expires_in":   out.expiresIn,
	}
	if out.refresh != "" {
		answer["refresh_token"] = out.refresh
	}
	return jsonReply(http.StatusOK, "application/json;charset=UTF-8", answer).granted(grant, out)
}

func (s *Server) ratorResource(r *http.Request, _ []byte) reply {
	switch {
	case r.Method != http.MethodGet:
		return oauthRefuse(&refusal{status: http.StatusMethodNotAllowed, code: "method_not_allowed", text: "use GET"}).of(resourceVisit)
	case r.Header.Get(ratorBrandHeader) == "":
		return oauthRefuse(badRequest("the header %s is missing", ratorBrandHeader)).of(resourceVisit)
	case r.Header.Get(ratorBrandHeader) != ratorBrand:
		return oauthRefuse(badRequest("the brand in %s is not known here", ratorBrandHeader)).of(resourceVisit)
	}
	return s.judge(Rator, r, map[string]any{"billingGroup": "201506171857210002", "balance": "12.50", "currency": "EUR"})
}
