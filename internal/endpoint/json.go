package endpoint

import (
	"bytes"
	"encoding/json"
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

// object is the members of a JSON object. One that has as many as an answer has is
// scanned once, however many names are looked for.
type object struct {
	first [8]member
	n     int
	rest  []byte // where the scan goes on
}

type member struct {
	name []byte
	raw  []byte // the value as it stands there
}

// read takes the object that b begins with.
func (o *object) read(b []byte) {
	s := scan{b: b, separator: '{'}
	for ; o.n < len(o.first); o.n++ {
		m, ok := s.next()
		if !ok {
			return
		}
		o.first[o.n] = m
	}
	if s.separator != 0 {
		o.rest = b[s.at:]
	}
}

// get finds name: as it is, or as a path. encoding/json is not used for it because
// it takes the last of two equal keys, takes "Access_Token" for access_token, and
// gives nothing at all from a document with one fault in it.
func (o *object) get(name string) value {
	if v := o.find(name); v.kind != absent {
		return v
	}
	head, rest, nested := strings.Cut(name, ".")
	if !nested {
		return value{}
	}
	outer := o.find(head)
	if outer.kind != other {
		return value{}
	}
	var inner object
	inner.read([]byte(outer.text))
	v := inner.get(rest)
	v.doubtful = v.doubtful || v.kind != absent && outer.doubtful
	v.conflict = v.conflict || outer.conflict
	return v
}

// find finds the first member with this name.
func (o *object) find(name string) value {
	f := finding{name: name}
	for i := range o.first[:o.n] {
		f.look(&o.first[i])
	}
	for s := (scan{b: o.rest, separator: ','}); ; {
		m, ok := s.next()
		if !ok {
			break
		}
		f.look(&m)
	}
	f.value.doubtful = f.doubtful && f.value.kind != absent
	return f.value
}

// finding is a name that is looked for, and what was found so far.
type finding struct {
	name     string
	value    value
	doubtful bool
}

func (f *finding) look(m *member) {
	v := &f.value
	same := string(m.name) == f.name
	f.doubtful = f.doubtful || same && v.kind != absent || !same && bytes.EqualFold(m.name, []byte(f.name))
	switch {
	case same && v.kind == absent:
		*v = decode(m.raw)
	case same:
		again := decode(m.raw)
		v.conflict = v.conflict || again.kind != v.kind || again.text != v.text
	}
}

// nameOf is what a quoted key says.
func nameOf(key []byte) []byte {
	inner := key[1 : len(key)-1]
	if bytes.IndexByte(inner, '\\') >= 0 {
		return []byte(decode(key).text)
	}
	return inner
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

// scan walks over the members of an object. It goes as far as the document makes
// sense: a value that the end of the document cuts off is the last, as far as it is
// there.
type scan struct {
	b         []byte
	at        int
	separator byte // before the next member; 0 when there is none
}

func (s *scan) next() (member, bool) {
	b, i := s.b, space(s.b, s.at)
	if s.separator == 0 || i == len(b) || b[i] != s.separator {
		return member{}, false
	}
	start := space(b, i+1)
	end, ok := scanString(b, start)
	if !ok {
		return member{}, false
	}
	name := nameOf(b[start:end])
	if i = space(b, end); i == len(b) || b[i] != ':' {
		return member{}, false
	}
	start = space(b, i+1)
	s.separator = ','
	if s.at, ok = scanValue(b, start); !ok {
		s.separator = 0
	}
	return member{name, b[start:s.at]}, true
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
