package devserver

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
)

// params are the parameters of one place of a request.
type params struct {
	place  string // "query", "form" or "JSON body", as messages say it
	values url.Values
}

func queryParams(r *http.Request) (params, *refusal) {
	return parseParams("query", r.URL.RawQuery)
}

func formParams(body []byte) (params, *refusal) {
	return parseParams("form", string(body))
}

func parseParams(place, text string) (params, *refusal) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return params{}, badRequest("the %s is not application/x-www-form-urlencoded", place)
	}
	return params{place, values}, nil
}

func jsonParams(body []byte) (params, *refusal) {
	var fields map[string]string
	if err := json.Unmarshal(body, &fields); err != nil {
		return params{}, badRequest("the body must be a JSON object of strings")
	}
	values := url.Values{}
	for name, value := range fields {
		values.Set(name, value)
	}
	return params{"JSON body", values}, nil
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,31}$`)

// expect refuses what is missing, empty, repeated (RFC 6749 section 3.2) or not
// documented.
func (p params) expect(required []string, optional ...string) *refusal {
	for _, name := range required {
		if p.values.Get(name) == "" {
			return badRequest("%s is missing from the %s", name, p.place)
		}
	}
	for name, values := range p.values {
		switch {
		case !slices.Contains(required, name) && !slices.Contains(optional, name):
			return badRequest("%s is not a parameter of the %s here", quoteName(name), p.place)
		case len(values) > 1:
			return badRequest("%s is repeated in the %s", name, p.place)
		}
	}
	return nil
}

// quoteName keeps a value out of messages that a client has put where a name
// belongs.
func quoteName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "something"
}

func (p params) get(name string) string { return p.values.Get(name) }

func (p params) has(name string) bool { return p.values.Has(name) }

func (p params) demand(clientID string) demand {
	return demand{
		grant:        p.get("grant_type"),
		clientID:     clientID,
		username:     p.get("username"),
		password:     p.get("password"),
		refreshToken: p.get("refresh_token"),
	}
}

// forGrant adds the parameters that RFC 6749 demands for a grant to common.
func (p params) forGrant(common ...string) []string {
	switch p.get("grant_type") {
	case grantPassword, grantOperator:
		return append(common, "grant_type", "username", "password")
	case grantRefresh:
		return append(common, "grant_type", "refresh_token")
	default:
		return append(common, "grant_type")
	}
}

func contentType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}
