package endpoint

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

const withheld = "[redacted]"

// clean makes a server's words fit for a log and a terminal: without any of the
// hidden strings, without what steers a terminal, and at most limit bytes long.
func clean(s string, hidden []string, limit int) string {
	for _, secret := range hidden {
		s = redact(s, secret)
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		part := s[:size]
		switch {
		case r == utf8.RuneError && size == 1:
			part = fmt.Sprintf(`\x%02x`, s[0])
		case !strconv.IsPrint(r):
			part = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(part) > limit {
			break
		}
		b.WriteString(part)
		s = s[size:]
	}
	return b.String()
}

// redact takes secret out of s. What is short goes only where it stands alone,
// or the user name "op" would take "operator" with it. When s holds the secret
// in another coding, which parts of it to take out is guesswork, and all of it
// goes.
func redact(s, secret string) string {
	switch {
	case secret == "":
		return s
	case len(secret) < 4:
		return redactWord(s, secret)
	}
	s = strings.ReplaceAll(s, secret, withheld)
	if inPercent(s, secret) || inBase64(s, secret) || escaped(s, secret) {
		return withheld
	}
	return s
}

// escaped finds a secret as it stands in JSON or in a quoted string within s,
// once or twice, in HTML and in hexadecimal.
func escaped(s, secret string) bool {
	if strings.Contains(strings.ToLower(s), hex.EncodeToString([]byte(secret))) {
		return true
	}
	for range 2 {
		s = unquote(html.UnescapeString(s))
		if strings.Contains(s, secret) {
			return true
		}
	}
	return false
}

// unquote takes the escapes of JSON and Go where they are right, and leaves the
// rest. JSON alone has one for a slash.
func unquote(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		if strings.HasPrefix(s, `\/`) {
			s = s[1:]
		}
		// Without a quote of its own, both kinds of quotes may be escaped.
		quote := byte('"')
		if strings.HasPrefix(s, `\'`) {
			quote = '\''
		}
		r, multibyte, rest, err := strconv.UnquoteChar(s, quote)
		switch {
		case err != nil:
			b.WriteByte(s[0])
			s = s[1:]
		case r < utf8.RuneSelf || multibyte:
			b.WriteRune(r)
			s = rest
		default:
			b.WriteByte(byte(r))
			s = rest
		}
	}
	return b.String()
}

// inPercent also looks into a URL within a URL. Form encoding writes a blank as
// a plus sign; whether one stands for the other here is not worth knowing.
func inPercent(s, secret string) bool {
	blanks := strings.NewReplacer("+", " ")
	secret = blanks.Replace(secret)
	for range 2 {
		s = unescape(s)
		if strings.Contains(blanks.Replace(s), secret) {
			return true
		}
	}
	return false
}

func inBase64(s, secret string) bool {
	for word := range strings.FieldsFuncSeq(s, notBase64) {
		word = strings.NewReplacer("-", "+", "_", "/").Replace(word)
		plain, _ := base64.RawStdEncoding.DecodeString(word)
		if strings.Contains(string(plain), secret) {
			return true
		}
	}
	return false
}

func notBase64(r rune) bool {
	return r >= utf8.RuneSelf || !wordByte(byte(r)) && !strings.ContainsRune("+/-_", r)
}

func redactWord(s, word string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, word)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := i + len(word)
		b.WriteString(s[:i])
		if i > 0 && wordByte(s[i-1]) || end < len(s) && wordByte(s[end]) {
			b.WriteString(word)
		} else {
			b.WriteString(withheld)
		}
		s = s[end:]
	}
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c >= utf8.RuneSelf
}

// unescape takes percent escapes where they are right, and leaves the rest.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
