package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/tokend-project/tokend/internal/token"
)

type pair struct{ name, value string }

func sorted(m map[string]token.Secret) []pair {
	all := make([]pair, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, pair{name, m[name].Reveal()})
	}
	return all
}

func (t *template) appendQuery(b []byte, all []pair) []byte {
	if len(all) == 0 {
		return b
	}
	if t.query {
		b = append(b, '&')
	} else {
		b = append(b, '?')
	}
	return appendForm(b, all)
}

// appendForm encodes as application/x-www-form-urlencoded, which RFC 6749
// appendix B has for bodies and queries alike.
func appendForm(b []byte, all []pair) []byte {
	for i, p := range all {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(appendEscaped(b, p.name), '=')
		b = appendEscaped(b, p.value)
	}
	return b
}

func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// appendJSON encodes the parameters as an object of strings.
func appendJSON(b []byte, all []pair) ([]byte, error) {
	b = append(b, '{')
	for i, p := range all {
		// encoding/json would replace the bad bytes, and send another password.
		if !utf8.ValidString(p.name) || !utf8.ValidString(p.value) {
			return b, errors.New("a parameter is not UTF-8 and has no place in a JSON body")
		}
		if i > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(p.name)
		if err != nil {
			return b, err
		}
		value, err := json.Marshal(p.value)
		if err != nil {
			return b, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

func appendBasic(b []byte, p Params, raw bool) []byte {
	b = append(b, "Authorization: Basic "...)
	return append(append(b, basic(p, raw)...), "\r\n"...)
}

// basic is the credentials of RFC 7617. RFC 6749 section 2.3.1 wants both parts
// form-encoded first; servers that skip this need them raw, or a secret with a
// percent sign in it never matches.
func basic(p Params, raw bool) string {
	plain := getBuffer()
	defer plain.release()
	if raw {
		plain.b = append(append(append(plain.b, p.ClientID...), ':'), p.ClientSecret.Reveal()...)
	} else {
		plain.b = append(appendEscaped(plain.b, p.ClientID), ':')
		plain.b = appendEscaped(plain.b, p.ClientSecret.Reveal())
	}
	return base64.StdEncoding.EncodeToString(plain.b)
}
