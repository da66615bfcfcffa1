package endpoint

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

var issued = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// judged puts an answer before the judge, as if it had come over the wire.
func judged(names Response, refresh bool, status int, contentType, body string) (token.Answer, *token.Failure) {
	j := judge{names: names.withDefaults(), refresh: refresh, hidden: func() []string { return nil }}
	h := http.Header{}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return j.judge(&response{issued: issued, status: status, header: h, body: []byte(body)})
}

func TestLifetimes(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tc := range []struct {
		name, member string
		want         time.Duration
		oddities     int
	}{
		{"whole seconds", `,"expires_in":43199`, 43199 * time.Second, 0},
		{"string", `,"expires_in":"3600"`, time.Hour, 1},
		{"float", `,"expires_in":3599.5`, 3599*time.Second + 500*time.Millisecond, 0},
		{"float in a string", `,"expires_in":" 1.5e1 "`, 15 * time.Second, 1},
		{"missing", ``, time.Minute, 1},
		{"null", `,"expires_in":null`, time.Minute, 1},
		{"true", `,"expires_in":true`, time.Minute, 2},
		{"empty string", `,"expires_in":""`, time.Minute, 3},
		{"words", `,"expires_in":"soon"`, time.Minute, 3},
		{"NaN in a string", `,"expires_in":"NaN"`, time.Minute, 3},
		{"Inf in a string", `,"expires_in":"Infinity"`, time.Minute, 3},
		{"hexadecimal", `,"expires_in":"0x10"`, time.Minute, 3},
		{"zero, as Hydra has it for a second", `,"expires_in":0`, 0, 1},
		{"negative", `,"expires_in":-10`, -10 * time.Second, 1},
		{"1e400", `,"expires_in":1e400`, year, 1},
		{"-1e400", `,"expires_in":-1e400`, -2 * year, 1},
		{"1e-400", `,"expires_in":1e-400`, 0, 1},
		{"over a year", `,"expires_in":31536001`, year, 1},
		{"one year", `,"expires_in":31536000`, year, 0},
		{"an instant instead of a span", `,"expires_in":1526242991`, year, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, f := judged(Response{DefaultLifetime: time.Minute}, true, 200, "application/json",
				`{"access_token":"at","token_type":"Bearer","refresh_token":"rt"`+tc.member+`}`)
			if f != nil {
				t.Fatal(f)
			}
			if got := a.ExpiresAt.Sub(issued); got != tc.want || len(a.Oddities) != tc.oddities {
				t.Errorf("lifetime %v, oddities %q; want %v and %d", got, a.Oddities, tc.want, tc.oddities)
			}
		})
	}
}

func jwt(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + ".c2ln"
}

func TestLifetimeFromTheTokenItself(t *testing.T) {
	at := func(d time.Duration) int64 { return issued.Add(d).Unix() }
	for _, tc := range []struct {
		name, access string
		want         time.Duration
	}{
		{"exp alone", jwt(fmt.Sprintf(`{"exp":%d}`, at(20*time.Minute))), 20 * time.Minute},
		{"exp and iat", jwt(fmt.Sprintf(`{"iat":%d,"exp":%d}`, at(0), at(20*time.Minute))), 20 * time.Minute},
		{"server's clock two hours ahead", jwt(fmt.Sprintf(`{"iat":%d,"exp":%d}`, at(2*time.Hour), at(140*time.Minute))), 20 * time.Minute},
		{"server's clock two hours behind", jwt(fmt.Sprintf(`{"iat":%d,"exp":%d}`, at(-2*time.Hour), at(-100*time.Minute))), 20 * time.Minute},
		{"an older token again", jwt(fmt.Sprintf(`{"iat":%d,"exp":%d}`, at(-15*time.Minute), at(5*time.Minute))), 5 * time.Minute},
		{"fractions", jwt(fmt.Sprintf(`{"exp":%d.5}`, at(time.Minute))), time.Minute + 500*time.Millisecond},
		{"expired, no iat", jwt(fmt.Sprintf(`{"exp":%d}`, at(-time.Minute))), time.Hour},
		{"exp in a string", jwt(`{"exp":"soon"}`), time.Hour},
		{"absurd exp", jwt(`{"exp":1e300}`), time.Hour},
		{"no JWT", "a.b.c", time.Hour},
		{"two dots of its own", "v1.*.x", time.Hour},
		{"opaque", "opaque", time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, f := judged(Response{}, false, 200, "application/json", `{"access_token":"`+tc.access+`","token_type":"Bearer"}`)
			if f != nil {
				t.Fatal(f)
			}
			if got := a.ExpiresAt.Sub(issued); got != tc.want {
				t.Errorf("lifetime %v, want %v", got, tc.want)
			}
		})
	}
}

func TestExpiresInWinsOverTheTokensClaims(t *testing.T) {
	body := `{"token_type":"Bearer","expires_in":10,"access_token":"` + jwt(fmt.Sprintf(`{"exp":%d}`, issued.Add(time.Hour).Unix())) + `"}`
	if a, f := judged(Response{}, false, 200, "application/json", body); f != nil || a.ExpiresAt.Sub(issued) != 10*time.Second {
		t.Errorf("%v, %v", a.ExpiresAt, f)
	}
}

func TestScopes(t *testing.T) {
	for _, tc := range []struct{ name, member, want string }{
		{"RFC 6749", `"openid profile"`, "openid profile"},
		{"Musement's comma and blank", `"user, password"`, "user password"},
		{"commas alone", `"repo,gist"`, "repo gist"},
		{"list", `["a","b",3]`, "a b"},
		{"null", `null`, ""},
		{"empty", `""`, ""},
		{"extra blanks", `" a  b "`, "a b"},
		{"number", `7`, ""},
		{"newline", `"a\nb"`, "a b"},
		{"escape sequence", `"a\u001b[31m"`, ""},
		{"quote", `"a\"b"`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, f := judged(Response{}, false, 200, "application/json", `{"access_token":"at","token_type":"bearer","expires_in":1,"scope":`+tc.member+`}`)
			if f != nil || a.Scope != tc.want {
				t.Errorf("%q, %v", a.Scope, f)
			}
		})
	}
}

func TestNarrowedScopeIsNoted(t *testing.T) {
	for granted, noted := range map[string]bool{`"a"`: true, `"a b c"`: false, `"b, a"`: false, `null`: false} {
		j := judge{names: Response{}.withDefaults(), scope: "a b"}
		a, f := j.judge(&response{status: 200, header: http.Header{}, body: []byte(`{"access_token":"at","scope":` + granted + `}`)})
		got := slices.ContainsFunc(a.Oddities, func(s string) bool { return strings.Contains(s, "narrower") })
		if f != nil || got != noted {
			t.Errorf("%s: %v, %v", granted, a.Oddities, f)
		}
	}
}

func TestToleratedAnswers(t *testing.T) {
	for _, tc := range []struct{ name, contentType, body string }{
		{"RFC 6749", "application/json;charset=UTF-8", goodBody},
		{"no content type", "", goodBody},
		{"JSON as text/html", "text/html", goodBody},
		{"byte order mark", "application/json", "\uFEFF" + goodBody},
		{"blank lines", "application/json", "\r\n\r\n " + goodBody + "\n"},
		{"form", "application/x-www-form-urlencoded", "access_token=at-1&token_type=bearer&expires_in=3600&refresh_token=rt-2"},
		{"form as text/plain", "text/plain", "access_token=at-1&expires_in=3600&refresh_token=rt-2\n"},
		{"no token_type", "application/json", `{"access_token":"at-1","expires_in":3600,"refresh_token":"rt-2"}`},
		{"BEARER with a blank", "application/json", `{"access_token":"at-1","token_type":"BEARER ","expires_in":3600,"refresh_token":"rt-2"}`},
		{"error that says nothing", "application/json", `{"error":"","access_token":"at-1","expires_in":3600,"refresh_token":"rt-2"}`},
		{"error null", "application/json", `{"error":null,"access_token":"at-1","expires_in":3600,"refresh_token":"rt-2"}`},
		{"error 0", "application/json", `{"error":0,"access_token":"at-1","expires_in":3600,"refresh_token":"rt-2"}`},
		{"escapes", "application/json", `{"access\u005ftoken":"a\u0074-1","expires_in":3600,"refresh_token":"rt\u002d2"}`},
		{"fields of their own, twice", "application/json", `{"jti":1,"JTI":2,"jti":3,"access_token":"at-1","expires_in":3600,"refresh_token":"rt-2"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, f := judged(Response{}, true, 200, tc.contentType, tc.body)
			if f != nil {
				t.Fatal(f)
			}
			if a.AccessToken.Reveal() != "at-1" || a.RefreshToken.Reveal() != "rt-2" || !strings.EqualFold(a.TokenType, "bearer") || a.ExpiresAt != issued.Add(time.Hour) {
				t.Errorf("%+v: %s %s", a, a.AccessToken.Reveal(), a.RefreshToken.Reveal())
			}
		})
	}
}

// Whatever is wrong with a 2xx, a good refresh token in it has replaced the one
// that was spent.
func TestRefreshTokenIsSalvaged(t *testing.T) {
	for _, tc := range []struct{ name, body, reason string }{
		{"no access token", `{"refresh_token":"rt-2"}`, "missing_token"},
		{"access token null", `{"access_token":null,"refresh_token":"rt-2"}`, "missing_token"},
		{"access token is a number", `{"access_token":5,"refresh_token":"rt-2"}`, "missing_token"},
		{"newline", `{"access_token":"a\nb","refresh_token":"rt-2"}`, "access_token"},
		{"carriage return", `{"access_token":"a\rX-Evil: 1","refresh_token":"rt-2"}`, "access_token"},
		{"NUL", `{"access_token":"a\u0000b","refresh_token":"rt-2"}`, "access_token"},
		{"blank", `{"access_token":"a b","refresh_token":"rt-2"}`, "access_token"},
		{"DEL", `{"access_token":"a\u007f","refresh_token":"rt-2"}`, "access_token"},
		{"non-ASCII", `{"access_token":"é","refresh_token":"rt-2"}`, "access_token"},
		{"bad UTF-8", "{\"access_token\":\"\xff\",\"refresh_token\":\"rt-2\"}", "access_token"},
		{"quote", `{"access_token":"a\"b","refresh_token":"rt-2"}`, "access_token"},
		{"backslash", `{"access_token":"a\\b","refresh_token":"rt-2"}`, "access_token"},
		{"token_type mac", `{"access_token":"at","token_type":"mac","refresh_token":"rt-2"}`, "token_type"},
		{"token_type DPoP", `{"access_token":"at","token_type":"DPoP","refresh_token":"rt-2"}`, "token_type"},
		{"token_type is a list", `{"access_token":"at","token_type":["Bearer"],"refresh_token":"rt-2"}`, "token_type"},
		{"duplicate access token", `{"access_token":"at","refresh_token":"rt-2","access_token":"evil"}`, "duplicate_key"},
		{"case variant", `{"access_token":"at","refresh_token":"rt-2","Access_Token":"evil"}`, "duplicate_key"},
		{"case variant with a Kelvin sign", `{"access_token":"at","refresh_token":"rt-2","access_to\u212Aen":"evil"}`, "duplicate_key"},
		{"duplicate expires_in", `{"access_token":"at","refresh_token":"rt-2","expires_in":1,"expires_in":99999}`, "duplicate_key"},
		{"case variant of the refresh token", `{"access_token":"at","Refresh_Token":"evil","refresh_token":"rt-2"}`, "duplicate_key"},
		{"the refresh token twice, the same", `{"access_token":"at","refresh_token":"rt-2","refresh_token":"rt-2"}`, "duplicate_key"},
		{"truncated", `{"refresh_token":"rt-2","access_token":"at`, "json"},
		{"truncated after it", `{"access_token":"at","refresh_token":"rt-2"`, "json"},
		{"trailing garbage", `{"access_token":"at","refresh_token":"rt-2"}}`, "json"},
		{"NaN", `{"access_token":"at","expires_in":NaN,"refresh_token":"rt-2"}`, "json"},
		{"raw control character", "{\"access_token\":\"a\x01\",\"refresh_token\":\"rt-2\"}", "json"},
		{"deep nesting", `{"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `,"refresh_token":"rt-2","access_token":"at"}`, "json"},
		{"form without an access token", `refresh_token=rt-2&expires_in=1`, "missing_token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, f := judged(Response{}, true, 200, "application/json", tc.body)
			if f == nil {
				t.Fatal("accepted")
			}
			if f.Class != token.Ambiguous || f.Reason != tc.reason {
				t.Errorf("failure %v %s, want %s", f.Class, f.Reason, tc.reason)
			}
			if a.RefreshToken.Reveal() != "rt-2" {
				t.Error("the refresh token is lost")
			}
			if !a.AccessToken.IsEmpty() || !a.ExpiresAt.IsZero() {
				t.Errorf("more than the refresh token came with the failure: %+v", a)
			}
		})
	}
}

func TestRefreshTokensThatAreNotTaken(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		fails      bool
	}{
		{"two different ones", `{"access_token":"at","refresh_token":"rt-1","refresh_token":"rt-2"}`, true},
		{"two different ones in a form", `access_token=at&refresh_token=rt-1&refresh_token=rt-2`, true},
		{"cut off", `{"access_token":"at","refresh_token":"rt-`, true},
		{"cut off in an escape", `{"access_token":"at","refresh_token":"rt-\u00`, true},
		{"cut off at an escaped quote", `{"access_token":"at","refresh_token":"rt-\"`, true},
		{"hidden in another string", `{"x":"\"refresh_token\":\"rt-1\"}","access_token":"at"}`, false},
		{"in an inner object", `{"x":{"refresh_token":"rt-1"},"access_token":"at"}`, false},
		{"number", `{"access_token":"at","refresh_token":5}`, false},
		{"null", `{"access_token":"at","refresh_token":null}`, false},
		{"empty", `{"access_token":"at","refresh_token":""}`, false},
		{"newline", `{"access_token":"at","refresh_token":"a\nb"}`, false},
		{"non-ASCII", `{"access_token":"at","refresh_token":"é"}`, false},
		{"in an array", `[{"access_token":"at","refresh_token":"rt-1"}]`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, f := judged(Response{}, true, 200, "application/json", tc.body)
			if !a.RefreshToken.IsEmpty() || (f != nil) != tc.fails {
				t.Errorf("refresh token %q, %v", a.RefreshToken.Reveal(), f)
			}
		})
	}
}

func TestRefreshTokenMayHoldWhatRFC6749Allows(t *testing.T) {
	a, f := judged(Response{}, true, 200, "", `{"access_token":"a|b:c!d~,$(x)","refresh_token":" a \"\\~"}`)
	if f != nil || a.RefreshToken.Reveal() != ` a "\~` || a.AccessToken.Reveal() != "a|b:c!d~,$(x)" {
		t.Errorf("%q %q %v", a.AccessToken.Reveal(), a.RefreshToken.Reveal(), f)
	}
}

func TestNestedAndRenamedFields(t *testing.T) {
	names := Response{AccessToken: "data.token.access_token", RefreshToken: "data.refresh", ExpiresIn: "data.token.ttl", Scope: "urn:x.scope", TokenType: "data.kind"}
	body := `{"code":0,"data":{"token":{"access_token":"at-1","ttl":"60"},"refresh":"rt-2","kind":"Bearer"},"urn:x.scope":"s"}`
	a, f := judged(names, true, 200, "application/json", body)
	if f != nil || a.AccessToken.Reveal() != "at-1" || a.RefreshToken.Reveal() != "rt-2" || a.ExpiresAt != issued.Add(time.Minute) || a.Scope != "s" {
		t.Fatalf("%+v, %v", a, f)
	}
	cut := body[:strings.Index(body, `,"kind"`)]
	if a, f := judged(names, true, 200, "application/json", cut); f == nil || a.RefreshToken.Reveal() != "rt-2" {
		t.Errorf("truncated: %+v, %v", a, f)
	}
	twice := `{"data":{"token":{"access_token":"at-1"}},"data":{"token":{"access_token":"evil"}}}`
	if _, f := judged(names, true, 200, "application/json", twice); f == nil || f.Reason != "duplicate_key" {
		t.Errorf("two parents: %v", f)
	}
}

// Of the members the first are kept and the others looked for each time; nobody may
// notice.
func TestAnswersWithMoreMembersThanUsual(t *testing.T) {
	for n := range 24 {
		var more strings.Builder
		for i := range n {
			fmt.Fprintf(&more, `"x%d": {"access_token": "evil"}, `, i)
		}
		body := "{" + more.String() + `"access_token": "at-1", "refresh_token": "rt-2"`
		a, f := judged(Response{}, true, 200, "application/json", body+"}")
		if f != nil || a.AccessToken.Reveal() != "at-1" || a.RefreshToken.Reveal() != "rt-2" {
			t.Errorf("after %d members: %+v, %v", n, a, f)
		}
		twice := "{" + `"access_token": "evil", ` + body[1:]
		if a, f := judged(Response{}, true, 200, "application/json", twice+"}"); f == nil || f.Reason != "duplicate_key" || a.RefreshToken.Reveal() != "rt-2" {
			t.Errorf("twice, with %d members between: %+v, %v", n, a, f)
		}
		if a, f := judged(Response{}, true, 200, "application/json", body); f == nil || f.Reason != "json" || a.RefreshToken.Reveal() != "rt-2" {
			t.Errorf("cut off after %d members: %+v, %v", n, a, f)
		}
	}
}

func TestSuccessesWithoutAToken(t *testing.T) {
	for _, tc := range []struct{ name, contentType, body, reason string }{
		{"HTML", "text/html", "<!DOCTYPE html><html>canary</html>", "content_type"},
		{"HTML as JSON", "application/json", "<html>canary</html>", "content_type"},
		{"empty", "application/json", "", "empty"},
		{"blank", "application/json", "  \n", "empty"},
		{"text", "text/plain", "all good, canary", "content_type"},
		{"JSON string", "application/json", `"canary"`, "content_type"},
		{"array", "application/json", `["canary"]`, "content_type"},
		{"null", "application/json", `null`, "content_type"},
		{"object without anything", "application/json", `{}`, "missing_token"},
		{"another spelling alone", "application/json", `{"accessToken":"canary"}`, "missing_token"},
		{"XML", "application/xml;charset=UTF-8", `<OAuth2AccessToken><access_token>canary</access_token></OAuth2AccessToken>`, "xml"},
		{"XML without a type", "", `<?xml version="1.0"?><token>canary</token>`, "xml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, f := judged(Response{}, true, 200, tc.contentType, tc.body)
			if f == nil || f.Class != token.Ambiguous || f.Reason != tc.reason || f.Status != 200 || strings.Contains(f.Error(), "canary") {
				t.Errorf("%v", f)
			}
			if tc.reason == "xml" && !strings.Contains(f.Error(), "Accept") {
				t.Errorf("does not say what to do: %v", f)
			}
		})
	}
}

func TestLoginThatOnlyConfigurationCanMend(t *testing.T) {
	for reason, body := range map[string]string{"xml": "<oauth/>", "token_type": `{"access_token":"at","token_type":"mac"}`} {
		if _, f := judged(Response{}, false, 200, "", body); f == nil || f.Class != token.Misconfigured || f.Reason != reason {
			t.Errorf("%s: %v", reason, f)
		}
	}
}
