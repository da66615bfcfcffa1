package endpoint

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
)

type kind uint8

const (
	absent kind = iota
	null
	text
	number
	list
	other // true, false, an object, or nothing that JSON knows
)

// value is what stands under a name.
type value struct {
	kind     kind
	text     string // decoded for text; as it stands in the document for the rest
	doubtful bool   // the name is there twice, or in two spellings
	conflict bool   // the name is there twice, with two values
}

// items are the strings of a list; what is no string is left out.
func (v value) items() []string {
	var raw []any
	if json.Unmarshal([]byte(v.text), &raw) != nil {
		return nil
	}
	var all []string
	for _, item := range raw {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// jsonValue finds name in the object that b begins with: as it is, or as a
// path. encoding/json is not used for it because it takes the last of two
// equal keys, takes "Access_Token" for access_token, and gives nothing at all
// from a document with one fault in it.
func jsonValue(b []byte, name string) value {
	if v := member(b, name); v.kind != absent {
		return v
	}
	head, rest, nested := strings.Cut(name, ".")
	if !nested {
		return value{}
	}
	outer := member(b, head)
	if outer.kind != other {
		return value{}
	}
	v := jsonValue([]byte(outer.text), rest)
	v.doubtful = v.doubtful || v.kind != absent && outer.doubtful
	v.conflict = v.conflict || outer.conflict
	return v
}

// member finds the first member with this name.
func member(b []byte, name string) value {
	var v value
	doubtful := false
	for key, raw := range members(b) {
		same, variant := compare(key, name)
		doubtful = doubtful || variant || same && v.kind != absent
		switch {
		case same && v.kind == absent:
			v = decode(raw)
		case same:
			again := decode(raw)
			v.conflict = v.conflict || again.kind != v.kind || again.text != v.text
		}
	}
	v.doubtful = doubtful && v.kind != absent
	return v
}

// compare tells whether a quoted key is name, or name in another spelling.
func compare(key []byte, name string) (same, variant bool) {
	inner := key[1 : len(key)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		inner = []byte(decode(key).text)
	}
	same = string(inner) == name
	return same, !same && strings.EqualFold(string(inner), name)
}

func decode(raw []byte) value {
	if len(raw) == 0 {
		return value{kind: other}
	}
	switch c := raw[0]; {
	case c == '"':
		return decodeString(raw)
	case c == '[':
		return value{kind: list, text: string(raw)}
	case c == '-' || '0' <= c && c <= '9':
		return value{kind: number, text: string(raw)}
	case string(raw) == "null":
		return value{kind: null}
	}
	return value{kind: other, text: string(raw)}
}

func decodeString(raw []byte) value {
	if !bytes.ContainsFunc(raw, func(r rune) bool { return r == '\\' || r < ' ' }) && len(raw) > 1 && raw[len(raw)-1] == '"' {
		return value{kind: text, text: string(raw[1 : len(raw)-1])}
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return value{kind: other}
	}
	return value{kind: text, text: s}
}

// members walks over the object that b begins with, keys still quoted. It goes
// as far as the document makes sense: a value that the end of the document cuts
// off is the last, as far as it is there.
func members(b []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := space(b, 0)
		for separator := byte('{'); i < len(b) && b[i] == separator; separator = ',' {
			start := space(b, i+1)
			end, ok := scanString(b, start)
			if !ok {
				return
			}
			key := b[start:end]
			if i = space(b, end); i == len(b) || b[i] != ':' {
				return
			}
			start = space(b, i+1)
			end, ok = scanValue(b, start)
			if !yield(key, b[start:end]) || !ok {
				return
			}
			i = space(b, end)
		}
	}
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// scanString finds the end of the string that begins at i.
func scanString(b []byte, i int) (end int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return i, false
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return len(b), false
}

// scanValue finds the end of the value that begins at i. It counts brackets
// and doesn't recurse, so that no nesting is too deep for it.
func scanValue(b []byte, i int) (end int, ok bool) {
	for depth := 0; i < len(b); {
		switch c := b[i]; c {
		case '"':
			if i, ok = scanString(b, i); !ok {
				return i, false
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			i++
			continue
		default:
			i = scanLiteral(b, i)
		}
		if depth <= 0 {
			return i, depth == 0
		}
	}
	return len(b), false
}

// scanLiteral finds the end of a number, true, false, null, or of what some
// servers write in their place (NaN).
func scanLiteral(b []byte, i int) int {
	for i < len(b) && bytes.IndexByte([]byte(",:{}[]\" \t\n\r"), b[i]) < 0 {
		i++
	}
	return i
}
