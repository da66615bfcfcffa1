package devserver

import (
	"net/http"
)

const (
	// musementNoApplication is the code that the vendor's documentation gives
	// for a request without X-Musement-Application.
	musementNoApplication = "2271"
)

// musementToken serves the login endpoint: a GET with everything in the query,
// or, as newer documentation has it, a POST of the same fields as JSON.
func (s *Server) musementToken(r *http.Request, body []byte) reply {
	for _, name := range []string{"X-Musement-Application", "X-Musement-Version"} {
		if r.Header.Get(name) == "" {
			return musementRefuse(&refusal{status: http.StatusBadRequest, code: musementNoApplication, text: "the header " + name + " is missing"})
		}
	}
	p, no := musementParams(r, body)
	if no != nil {
		return musementRefuse(no)
	}
	grant := p.get("grant_type")
	if no := p.expect(p.forGrant("client_id", "client_secret"), "client_type"); no != nil {
		return musementRefuse(no).of(grant)
	}
	if !s.knowsClient(Musement, p.get("client_id"), p.get("client_secret")) {
		return musementRefuse(&refusal{status: http.StatusBadRequest, code: "invalid_client", text: "The client credentials are invalid"}).of(grant)
	}
	out, no := s.grant(Musement, p.demand(p.get("client_id")))
	if no != nil {
		return musementRefuse(no).of(grant)
	}
	return musementAnswer(grant, out)
}

func musementParams(r *http.Request, body []byte) (params, *refusal) {
	switch {
	case r.Method == http.MethodGet && len(body) > 0:
		return params{}, badRequest("a GET has its parameters in the query, and no body")
	case r.Method == http.MethodGet:
		return queryParams(r)
	case r.Method != http.MethodPost:
		return params{}, &refusal{status: http.StatusMethodNotAllowed, code: "405", text: "use GET, or POST with a JSON body"}
	case contentType(r) != "application/json":
		return params{}, &refusal{status: http.StatusUnsupportedMediaType, code: "415", text: "a POST has its parameters in a JSON body: Content-Type must be application/json"}
	case r.URL.RawQuery != "":
		return params{}, badRequest("a POST has its parameters in the JSON body, not in the query")
	default:
		return jsonParams(body)
	}
}

func musementAnswer(grant string, out *issued) reply {
	answer := map[string]any{
		"access_token": out.access,
		"expires_in":   out.expiresIn,
		"token_type":   "bearer",
		"scope":        nil,
	}
	if out.refresh != "" {
		answer["refresh_token"] = out.refresh
		answer["scope"] = "user, password" // the vendor's own delimiter
	}
	return jsonReply(http.StatusOK, "application/json", answer).granted(grant, out)
}

// musementRefuse speaks of the API itself with code and message, and of grants
// as RFC 6749 section 5.2 has it.
func musementRefuse(no *refusal) reply {
	if no.code >= "0" && no.code <= "9999" {
		return jsonReply(no.status, "application/json", map[string]any{"code": no.code, "message": no.text}).refused(no)
	}
	return oauthRefuse(no)
}

func (s *Server) musementResource(r *http.Request, _ []byte) reply {
	if r.Method != http.MethodGet {
		return musementRefuse(&refusal{status: http.StatusMethodNotAllowed, code: "405", text: "use GET"}).of(resourceVisit)
	}
	return s.judge(Musement, r, []map[string]any{{"id": 1, "name": "Amsterdam"}, {"id": 2, "name": "Milan"}})
}
