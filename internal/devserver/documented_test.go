package devserver

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exchange sends a request byte for byte, as a document prints it.
func (r *rig) exchange(t *testing.T, text string) got {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head, body, _ := strings.Cut(text, "\n\n")
	if body != "" {
		head += fmt.Sprintf("\nContent-Length: %d", len(body))
	}
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	g := got{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &g.fields)
	return g
}

// fieldNames is the shape of an answer.
func (g got) fieldNames() string {
	return strings.Join(slices.Sorted(maps.Keys(g.fields)), " ")
}

func TestDocumentedRequestsAreGranted(t *testing.T) {
	cases := []struct {
		name, request, fields string
		expiresIn             float64
	}{
		{
			"musement client_credentials",
			"GET /api/v3/login?client_id=tokend-dev&client_secret=demo%26secret%3D1&grant_type=client_credentials HTTP/1.1\n" +
				"Host: api.musement.com\nX-Musement-Application: a\nX-Musement-Version: 3.4.0\n\n",
			"access_token expires_in scope token_type", 30,
		},
		{
			"musement password",
			"GET /api/v3/login?client_id=tokend-dev&client_secret=demo%26secret%3D1&grant_type=password&username=traveller%40example.com&password=demo+pass%2Bword HTTP/1.1\n" +
				"Host: api.musement.com\nX-Musement-Application: a\nX-Musement-Version: 3.4.0\n\n",
			"access_token expires_in refresh_token scope token_type", 30,
		},
		{
			"musement supplier by POST of JSON",
			"POST /api/v3/login HTTP/1.1\nHost: api.musement.com\nX-Musement-Application: a\nX-Musement-Version: 3.4.0\nContent-Type: application/json\n\n" +
				`{"client_id":"tokend-dev","client_secret":"demo&secret=1","grant_type":"password","username":"traveller@example.com","password":"demo pass+word","client_type":"supplier"}`,
			"access_token expires_in refresh_token scope token_type", 30,
		},
		{
			"greymatter form",
			"POST /api-gateway/auth-service/platform-auth/oauth/token HTTP/1.1\nHost: example.com\nContent-Type: application/x-www-form-urlencoded\n" +
				"Accept: application/json, text/javascript\nAuthorization: Basic YnV0bGVyOmJ1dGxlcg==\n\n" +
				"grant_type=password&username=upstream&password=upstream",
			"access_token expires_in jti refresh_token scope token_type user_id", 29,
		},
		{
			"greymatter URL parameters",
			"POST /api-gateway/auth-service/platform-auth/oauth/token?grant_type=password&username=upstream&password=upstream HTTP/1.1\nHost: example.com\n" +
				"Content-Type: application/x-www-form-urlencoded\nAccept: application/json\nAuthorization: Basic YnV0bGVyOmJ1dGxlcg==\nContent-Length: 0\n\n",
			"access_token expires_in jti refresh_token scope token_type user_id", 29,
		},
		{
			"rator password by curl -X POST -u myclientid:myclientsecret",
			"POST /appcontext/oauth/token?username=customer&password=demo-customer&grant_type=password&brand_key=BRAND1 HTTP/1.1\nHost: host:port\n" +
				"Authorization: Basic bXljbGllbnRpZDpteWNsaWVudHNlY3JldA==\nUser-Agent: curl/7.88.1\nAccept: */*\n\n",
			"access_token expires_in refresh_token token_type", 29,
		},
		{
			"rator operator_password",
			"POST /appcontext/oauth/token?username=operator&password=demo%23operator&grant_type=operator_password&brand_key=BRAND1 HTTP/1.1\nHost: host:port\n" +
				"Authorization: Basic bXljbGllbnRpZDpteWNsaWVudHNlY3JldA==\n\n",
			"access_token expires_in refresh_token token_type", 29,
		},
		{
			"rator client_credentials of newer versions",
			"POST /appcontext/oauth/token?operator=operator&grant_type=client_credentials&brand_key=BRAND1 HTTP/1.1\nHost: host:port\n" +
				"Authorization: Basic bXljbGllbnRpZDpteWNsaWVudHNlY3JldA==\n\n",
			"access_token expires_in token_type", 29,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, Options{}).exchange(t, c.request)
			if g.status != http.StatusOK || g.fieldNames() != c.fields || g.fields["expires_in"] != c.expiresIn {
				t.Errorf("status %d, body %s; want the fields %s and expires_in %v", g.status, g.raw, c.fields, c.expiresIn)
			}
			if strings.ToLower(g.text("token_type")) != "bearer" || g.header.Get("Cache-Control") != "no-store" {
				t.Errorf("token_type %q, Cache-Control %q", g.text("token_type"), g.header.Get("Cache-Control"))
			}
		})
	}
}

func TestScopeIsAsDocumented(t *testing.T) {
	r := newRig(t, Options{})
	if g := r.granted(t, musementLogin()); g.text("scope") != "user, password" {
		t.Errorf("Musement's password grant has the scope %v", g.fields["scope"])
	}
	app := musementLogin().with(func(a *ask) {
		a.query = pairs("client_id", "tokend-dev", "client_secret", "demo&secret=1", "grant_type", "client_credentials")
	})
	if scope, ok := r.granted(t, app).fields["scope"]; !ok || scope != nil {
		t.Errorf("Musement's client_credentials grant has the scope %v, want null", scope)
	}
	if g := r.granted(t, greymatterLogin()); g.text("scope") != "openid" || g.fields["user_id"] != -1.0 || g.header.Get("Content-Type") != "application/json;charset=UTF-8" {
		t.Errorf("GreyMatter answered %s as %s", g.raw, g.header.Get("Content-Type"))
	}
}

func TestResourceIsServedAsDocumented(t *testing.T) {
	r := newRig(t, Options{})
	rator := r.granted(t, ratorLogin()).text("access_token")
	g := r.exchange(t, "GET /appcontext/api/billing-groups/201506171857210002/balance HTTP/1.1\nHost: host:port\n"+
		"Accept-Language: it\nAuthorization: Bearer "+rator+"\nX-RATOR-brand-key: BRAND1\n\n")
	if g.status != http.StatusOK {
		t.Errorf("Rator's balance: %d %s", g.status, g.raw)
	}
	musement := r.granted(t, musementLogin()).text("access_token")
	if g := r.exchange(t, "GET /api/v3/cities HTTP/1.1\nHost: api.musement.com\nAuthorization: Bearer "+musement+"\n\n"); g.status != http.StatusOK {
		t.Errorf("Musement's cities: %d %s", g.status, g.raw)
	}
	if r.live(t, Musement, rator) {
		t.Error("one API's token is good at another")
	}
}

func TestTokensLookLikeTheDocuments(t *testing.T) {
	r := newRig(t, Options{})
	shape := map[API]*regexp.Regexp{
		Musement:   regexp.MustCompile(`^[A-Za-z0-9]{86}$`),
		GreyMatter: regexp.MustCompile(`^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{342}$`),
		Rator:      regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
	}
	for api, l := range logins() {
		if access := r.granted(t, l.login).text("access_token"); !shape[api].MatchString(access) {
			t.Errorf("%s: access token %q does not match %s", api, access, shape[api])
		}
	}
}

func TestGreyMatterTokenSaysWhoItIsFor(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, greymatterLogin())
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(g.text("access_token"), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Exp   int64    `json:"exp"`
		ID    string   `json:"jti"`
		User  string   `json:"user_name"`
		Scope []string `json:"scope"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Exp != r.clock().Add(DefaultLifetime).Unix() || claims.ID != g.text("jti") || claims.User != "upstream" || !slices.Equal(claims.Scope, []string{"openid"}) {
		t.Errorf("claims %+v do not fit the answer %s", claims, g.raw)
	}
}
