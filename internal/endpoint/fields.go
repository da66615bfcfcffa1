package endpoint

import (
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

// refreshToken takes a refresh token of RFC 6749 appendix A.17, 1*VSCHAR, blanks
// included: it goes nowhere but into a request, encoded. Of two different ones
// neither is taken; of two spellings, the one that was asked for.
func (j *judge) refreshToken(a *token.Answer, d *document) {
	v := d.get(j.names.RefreshToken)
	switch {
	case v.kind == absent, v.kind == null, v.kind == text && v.text == "", v.conflict:
	case v.kind != text || strings.ContainsFunc(v.text, notVSCHAR):
		odd(a, "the refresh token is malformed and was left out")
	default:
		a.RefreshToken = token.NewSecret(v.text)
	}
}

func notVSCHAR(r rune) bool { return r < 0x20 || r > 0x7e }

// accessToken takes the access token and its type. RFC 6749 appendix A.12
// allows any VSCHAR, RFC 6750 section 2.1 a b64token alone; real servers also
// issue tokens with "|", ":" or "!". What must not pass is whatever could end a
// header field, a quoted string, a line or a word: controls, blanks, quotes,
// backslashes, and anything beyond ASCII.
func (j *judge) accessToken(a *token.Answer, d *document) (reason string, err error) {
	v := d.get(j.names.AccessToken)
	switch {
	case v.kind != text || v.text == "":
		return "missing_token", errMissing
	case strings.ContainsFunc(v.text, unsafeInToken):
		return "access_token", errToken
	}
	a.AccessToken = token.NewSecret(v.text)
	a.TokenType = "Bearer"
	kind := d.get(j.names.TokenType)
	switch name := strings.TrimSpace(kind.text); {
	case kind.kind == absent, kind.kind == null, kind.kind == text && name == "":
		odd(a, "no token_type, taken as Bearer")
	case kind.kind != text, !strings.EqualFold(name, "bearer"):
		return "token_type", errType
	default:
		a.TokenType = name
	}
	return "", nil
}

func unsafeInToken(r rune) bool { return r <= ' ' || r > 0x7e || r == '"' || r == '\\' }

// setScope brings the scope into RFC 6749 section 3.3's form, names with blanks
// between them. Servers also send lists, and names with commas.
func (j *judge) setScope(a *token.Answer, d *document) {
	v := d.get(j.names.Scope)
	var names []string
	switch {
	case v.kind == absent, v.kind == null:
		return
	case v.kind == list:
		odd(a, "the scope is a list")
		names = v.items()
	case v.kind != text:
		odd(a, "the scope is neither a string nor a list and was left out")
		return
	case strings.Contains(v.text, ","):
		odd(a, "the scope is separated by commas")
		names = strings.FieldsFunc(v.text, func(r rune) bool { return r == ',' || r == ' ' })
	default:
		names = strings.Fields(v.text)
	}
	scope := strings.Join(names, " ")
	if strings.ContainsFunc(scope, notScopeChar) {
		odd(a, "the scope is malformed and was left out")
		return
	}
	a.Scope = scope
	for name := range strings.FieldsSeq(j.scope) {
		if !strings.Contains(" "+scope+" ", " "+name+" ") && scope != "" {
			odd(a, "the granted scope is narrower than the requested one")
			return
		}
	}
}

// notScopeChar: RFC 6749 appendix A.4, with the blank between the names.
func notScopeChar(r rune) bool { return r < ' ' || r > 0x7e || r == '"' || r == '\\' }
