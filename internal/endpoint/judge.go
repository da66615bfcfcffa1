package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// judge turns a response into an Answer or a Failure. It is pure but for the
// clock that a Retry-After date and a JWT's exp are held against.
type judge struct {
	names   Response
	refresh bool            // the request spent a refresh token
	scope   string          // as requested, or empty
	hidden  func() []string // what was sent and must not be shown
}

var (
	errXML      = errors.New(`the server answered in XML; ask it for JSON with the request header Accept = "application/json"`)
	errMarkup   = errors.New("the server answered with a page, not with a token; is token_endpoint right?")
	errBody     = errors.New("the body is neither JSON nor form-encoded")
	errJSON     = errors.New("the body is not well-formed JSON")
	errCoding   = errors.New("the body is compressed, although compression was not offered")
	errMissing  = errors.New("no access token under the configured name")
	errToken    = errors.New("the access token holds characters that have no place in a header or a file")
	errType     = errors.New("the access token is of a type that tokend can't use; it knows Bearer alone (RFC 6749 section 7.1)")
	errRedirect = errors.New("the token endpoint redirects; secrets are not sent after a redirect, so set token_endpoint to where it leads")
)

func (j *judge) judge(r *response) (token.Answer, *token.Failure) {
	var d document
	d.read(r)
	if r.status/100 != 2 {
		return token.Answer{}, j.refusal(r, &d)
	}
	answer, failure := j.success(r, &d)
	if failure == nil {
		return answer, nil
	}
	return token.Answer{RefreshToken: answer.RefreshToken}, failure
}

// success reads a 2xx. The refresh token comes first, and stays in the answer
// whatever comes after.
func (j *judge) success(r *response, d *document) (token.Answer, *token.Failure) {
	a := token.Answer{IssuedAt: r.issued}
	j.refreshToken(&a, d)
	if j.saysError(d) {
		return a, j.refusal(r, d)
	}
	if reason, err := d.unreadable(r); err != nil {
		return a, j.unusable(r, reason, err)
	}
	if name := j.doubtful(d); name != "" {
		return a, j.unusable(r, "duplicate_key", fmt.Errorf("the answer has more than one %s", name))
	}
	if reason, err := j.accessToken(&a, d); err != nil {
		f := j.unusable(r, reason, err)
		f.Code, f.Description = j.words(d)
		return a, f
	}
	j.setScope(&a, d)
	j.setExpiry(&a, d)
	if d.kind == jsonDocument && !isType(r.header, "json") {
		odd(&a, "the content type is not JSON's")
	}
	return a, nil
}

// unusable is the failure of a 2xx that holds no usable token. The server did
// process the request, so a refresh token may have been spent. A login spends
// nothing; where the configuration alone can mend it, the class says so.
func (j *judge) unusable(r *response, reason string, err error) *token.Failure {
	class := token.Ambiguous
	if !j.refresh && (reason == "xml" || reason == "token_type") {
		class = token.Misconfigured
	}
	return &token.Failure{Class: class, Reason: reason, Status: r.status, Err: err, RetryAfter: retryAfter(r.header, time.Now())}
}

// refusal reads an answer that says no: any status but 2xx, or a 2xx with an
// error in it.
func (j *judge) refusal(r *response, d *document) *token.Failure {
	f := &token.Failure{Reason: "http_status", Status: r.status, RetryAfter: retryAfter(r.header, time.Now())}
	code := ""
	if v := d.get("error"); v.kind == text {
		code = v.text
	}
	f.Class = classify(r.status, code, d.structured(), j.refresh)
	f.Code, f.Description = j.words(d)
	switch {
	case r.status/100 == 3:
		f.Reason, f.Err = "redirect", errRedirect
	case code != "":
		f.Reason = "oauth_error"
	}
	return f
}

// saysError reports whether an answer has an error in it (RFC 6749 section
// 5.2), 2xx or not. Some servers always send the field, and empty when all is
// well.
func (j *judge) saysError(d *document) bool {
	v := d.get("error")
	switch v.kind {
	case absent, null:
		return false
	case text:
		return v.text != ""
	}
	return v.text != "0" && v.text != "false" && v.text != "{}" && v.text != "[]"
}

// words are the error code and description for people, also of servers that
// have names of their own for them.
func (j *judge) words(d *document) (code, description string) {
	if !d.structured() {
		return "", ""
	}
	code = first(d, "error", "code", "error_code", "error.code", "error.status")
	description = first(d, "error_description", "message", "error.message", "detail", "title")
	if code == "" && description == "" {
		return "", ""
	}
	hidden := append(j.hidden(), d.get(j.names.AccessToken).text, d.get(j.names.RefreshToken).text)
	return clean(code, hidden, 64), clean(description, hidden, 256)
}

func first(d *document, names ...string) string {
	for _, name := range names {
		if v := d.get(name); v.kind == text || v.kind == number {
			return v.text
		}
	}
	return ""
}

// doubtful names a field that is there twice, or in two spellings, so that
// another reader could take another value for it.
func (j *judge) doubtful(d *document) string {
	for _, name := range []string{
		j.names.AccessToken, j.names.RefreshToken, j.names.TokenType, j.names.ExpiresIn, j.names.Scope, "error",
	} {
		if d.get(name).doubtful {
			return name
		}
	}
	return ""
}

func odd(a *token.Answer, what string) { a.Oddities = append(a.Oddities, what) }

func isType(h http.Header, word string) bool {
	return strings.Contains(strings.ToLower(h.Get("Content-Type")), word)
}
