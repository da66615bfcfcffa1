package devserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestDeviationsAreRefusedWithTheReason(t *testing.T) {
	const refresh = "any"
	set := func(place func(*ask) url.Values, name, value string) func(*ask) {
		return func(a *ask) { place(a).Set(name, value) }
	}
	query := func(a *ask) url.Values { return a.query }
	form := func(a *ask) url.Values { return a.form }
	drop := func(place func(*ask) url.Values, name string) func(*ask) {
		return func(a *ask) { place(a).Del(name) }
	}
	header := func(name, value string) func(*ask) {
		return func(a *ask) { a.header[name] = value }
	}
	without := func(name string) func(*ask) {
		return func(a *ask) { delete(a.header, name) }
	}
	toForm := func(a *ask) { a.form, a.query = a.query, nil }
	toQuery := func(a *ask) { a.query, a.form = a.form, nil }

	cases := []struct {
		name   string
		base   ask
		change func(*ask)
		status int
		want   string // in the body
	}{
		{"musement without application", musementLogin(), without("X-Musement-Application"), 400, `{"code":"2271","message":"the header X-Musement-Application is missing"}`},
		{"musement without version", musementLogin(), without("X-Musement-Version"), 400, `"code":"2271"`},
		{"musement by PUT", musementLogin(), func(a *ask) { a.method = "PUT" }, 405, `use GET, or POST with a JSON body`},
		{"musement GET with a body", musementLogin(), toForm, 400, "a GET has its parameters in the query"},
		{"musement POST of a form", musementLogin(), func(a *ask) {
			toForm(a)
			a.method, a.header["Content-Type"] = "POST", "application/x-www-form-urlencoded"
		}, 415, "Content-Type must be application/json"},
		{"musement POST with a query", musementLogin(), func(a *ask) {
			a.method, a.header["Content-Type"] = "POST", "application/json"
		}, 400, "not in the query"},
		{"musement POST of a JSON number", musementLogin(), func(a *ask) {
			a.method, a.query, a.json, a.header["Content-Type"] = "POST", nil, `{"grant_type":1}`, "application/json"
		}, 400, "a JSON object of strings"},
		{"musement without client_secret", musementLogin(), drop(query, "client_secret"), 400, "client_secret is missing from the query"},
		{"musement with another secret", musementLogin(), set(query, "client_secret", "other"), 400, `"error":"invalid_client"`},
		{"musement with another password", musementLogin(), set(query, "password", "other"), 400, `"error":"invalid_grant"`},
		{"musement with an unknown parameter", musementLogin(), set(query, "scope", "x"), 400, "scope is not a parameter of the query here"},
		{"musement with a repeated parameter", musementLogin(), func(a *ask) { a.query.Add("username", "b") }, 400, "username is repeated"},
		{"musement with Rator's grant", musementLogin(), set(query, "grant_type", "operator_password"), 400, `"error":"unsupported_grant_type"`},
		{"musement without grant_type", musementLogin(), drop(query, "grant_type"), 400, "grant_type is missing"},
		{"musement with an unknown refresh token", musementRefresh(refresh), func(*ask) {}, 400, `"error":"invalid_grant"`},

		{"greymatter by GET", greymatterLogin(), func(a *ask) { toQuery(a); a.method = "GET" }, 405, "use POST"},
		{"greymatter without its fixed string", greymatterLogin(), without("Authorization"), 401, "the documented fixed string"},
		{"greymatter with another fixed string", greymatterLogin(), header("Authorization", "Basic Ym90dGxlcg=="), 401, `"error":"unauthorized"`},
		{"greymatter without Content-Type", greymatterLogin(), without("Content-Type"), 415, "the Content-Type header is mandatory"},
		{"greymatter URL parameters without Content-Type", greymatterLogin(), func(a *ask) {
			toQuery(a)
			delete(a.header, "Content-Type")
		}, 415, "the Content-Type header is mandatory"},
		{"greymatter form called JSON", greymatterLogin(), header("Content-Type", "application/json"), 415, "a form needs"},
		{"greymatter form and URL", greymatterLogin(), func(a *ask) { a.query = pairs("grant_type", "password") }, 400, "not into both"},
		{"greymatter with another password", greymatterLogin(), set(form, "password", "other"), 401, "Bad credentials"},
		{"greymatter without username", greymatterLogin(), drop(form, "username"), 400, "username is missing from the form"},
		{"greymatter client_credentials", greymatterLogin(), func(a *ask) { a.form = pairs("grant_type", "client_credentials") }, 400, "unsupported_grant_type"},
		{"greymatter asked for XML", greymatterLogin(), func(a *ask) { a.header["Accept"] = "*/*"; a.form.Del("username") }, 400, "<oauth><error>invalid_request</error>"},

		{"rator by GET", ratorLogin(), func(a *ask) { a.method = "GET" }, 405, "use POST"},
		{"rator without Basic", ratorLogin(), without("Authorization"), 401, "send them by HTTP Basic"},
		// tokend-dev:demo%2Bsecret%2F100%25
		{"rator with a form-encoded secret", ratorLogin(), header("Authorization", "Basic dG9rZW5kLWRldjpkZW1vJTJCc2VjcmV0JTJGMTAwJTI1"), 401, "the client secret is form-encoded: send it as it is"},
		{"rator with another secret", ratorLogin(), header("Authorization", "Basic bXljbGllbnRpZDp4"), 401, "Bad client credentials"},
		{"rator login in a form", ratorLogin(), toForm, 400, "a login has its parameters in the query, not in the form"},
		{"rator login without brand_key", ratorLogin(), drop(query, "brand_key"), 400, "brand_key is missing from the query"},
		{"rator login that spells it brandKey", ratorLogin(), func(a *ask) { a.query.Del("brand_key"); a.query.Set("brandKey", "BRAND1") }, 400, "brand_key in the query, not brandKey"},
		{"rator login of another brand", ratorLogin(), set(query, "brand_key", "BRAND2"), 400, "the brand is not known here"},
		{"rator operator by the customers' grant", ratorLogin(), set(query, "grant_type", "password"), 400, "Bad credentials"},
		{"rator client for an unknown operator", ratorLogin(), func(a *ask) {
			a.query = pairs("grant_type", "client_credentials", "brand_key", "BRAND1", "operator", "customer")
		}, 400, "operator names no operator"},
		{"rator refresh in the query", ratorRefresh(refresh), toQuery, 400, "a refresh has its parameters in the form, not in the query"},
		{"rator refresh that spells it brand_key", ratorRefresh(refresh), func(a *ask) { a.form.Del("brandKey"); a.form.Set("brand_key", "BRAND1") }, 400, "brandKey in the form, not brand_key"},
		{"rator refresh without brandKey", ratorRefresh(refresh), drop(form, "brandKey"), 400, "brandKey is missing from the form"},
		{"rator refresh of two brands", ratorRefresh(refresh), func(a *ask) { a.query = pairs("brand_key", "BRAND2") }, 400, "differ"},
		{"rator refresh without Content-Type", ratorRefresh(refresh), without("Content-Type"), 415, "a form needs"},
		{"rator with an unknown refresh token", ratorRefresh(refresh), func(*ask) {}, 400, "invalid_grant"},
	}
	r := newRig(t, Options{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := r.do(t, c.base.with(c.change))
			if g.status != c.status || !strings.Contains(g.raw, c.want) {
				t.Errorf("status %d, body %s; want %d and %s", g.status, g.raw, c.status, c.want)
			}
			if strings.Contains(g.raw, "access_token>") || g.fields["access_token"] != nil {
				t.Errorf("a refusal brought a token: %s", g.raw)
			}
		})
	}
	var refused uint64
	for _, api := range APIs() {
		if c := r.Stats().Of(api); c.Logins+c.Refreshes+c.Reuses != 0 {
			t.Errorf("refusals were counted as %+v", c)
		}
		refused += r.Stats().Of(api).Refusals
	}
	if refused != uint64(len(cases)) {
		t.Errorf("%d refusals counted, want %d", refused, len(cases))
	}
}

func TestGreyMatterAnswersInXMLUnlessAskedForJSON(t *testing.T) {
	r := newRig(t, Options{})
	for _, accept := range []string{"", "*/*", "application/xml"} {
		g := r.do(t, greymatterLogin().with(func(a *ask) { a.header["Accept"] = accept }))
		if g.status != http.StatusOK || !strings.HasPrefix(g.raw, "<oauth><access_token>ey") || g.header.Get("Content-Type") != "application/xml;charset=UTF-8" {
			t.Errorf("Accept %q: %d %s as %s", accept, g.status, g.raw, g.header.Get("Content-Type"))
		}
	}
}

func TestRatorMayRequireTheOperator(t *testing.T) {
	login := ratorLogin().with(func(a *ask) { a.query = pairs("grant_type", "client_credentials", "brand_key", "BRAND1") })
	newRig(t, Options{}).granted(t, login)
	strict := newRig(t, Options{RequireOperator: true})
	if g := strict.do(t, login); g.status != http.StatusBadRequest || !strings.Contains(g.raw, "operator is missing from the query") {
		t.Errorf("without operator: %d %s", g.status, g.raw)
	}
	strict.granted(t, login.with(func(a *ask) { a.query.Set("operator", "operator") }))
}

func TestResourceRefuses(t *testing.T) {
	r := newRig(t, Options{})
	rator := pathsOf(Rator).resource
	cases := []struct {
		name   string
		ask    ask
		status int
		auth   string // WWW-Authenticate
	}{
		{"no token", ask{method: "GET", path: pathsOf(Musement).resource}, 401, `Bearer realm="musement"`},
		{"an unknown token", ask{method: "GET", path: pathsOf(Musement).resource, header: map[string]string{"Authorization": "Bearer x"}}, 401, `Bearer realm="musement", error="invalid_token"`},
		{"a POST", ask{method: "POST", path: pathsOf(GreyMatter).resource}, 405, ""},
		{"no brand", ask{method: "GET", path: rator}, 400, ""},
		{"another brand", ask{method: "GET", path: rator, header: map[string]string{"X-RATOR-brand-key": "B"}}, 400, ""},
		{"the brand but no token", ask{method: "GET", path: rator, header: map[string]string{"X-RATOR-brand-key": "BRAND1"}}, 401, `Bearer realm="rator"`},
		{"an unknown path", ask{method: "GET", path: "/"}, 404, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := r.do(t, c.ask)
			if g.status != c.status || g.header.Get("WWW-Authenticate") != c.auth {
				t.Errorf("status %d, WWW-Authenticate %q; want %d, %q", g.status, g.header.Get("WWW-Authenticate"), c.status, c.auth)
			}
		})
	}
	if c := r.Stats().Of(Rator); c.Unauthorized != 1 || c.Refusals != 0 {
		t.Errorf("counted %+v; a malformed resource request is no refused token request", c)
	}
}
