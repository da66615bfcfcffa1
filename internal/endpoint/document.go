package endpoint

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
)

type documentKind uint8

const (
	noDocument documentKind = iota
	jsonDocument
	formDocument
	markupDocument
)

// document is a body with named values in it, by what it looks like: content
// types are wrong too often. It may end early; what was whole before the end is
// found all the same.
type document struct {
	kind   documentKind
	body   []byte
	object object     // of jsonDocument
	form   url.Values // of formDocument
}

// read takes the body of a response.
func (d *document) read(r *response) {
	if c := r.header.Get("Content-Encoding"); c != "" && !strings.EqualFold(c, "identity") {
		return
	}
	body := bytes.TrimPrefix(r.body, []byte("\uFEFF"))
	body = bytes.Trim(body, " \t\r\n")
	d.body = body
	switch {
	case len(body) == 0:
	case body[0] == '{':
		d.kind = jsonDocument
		d.object.read(body)
	case body[0] == '<':
		d.kind = markupDocument
	case bytes.IndexByte(body, '=') > 0 && !bytes.ContainsAny(body, "\r\n\t {}\"<>"):
		if form, err := url.ParseQuery(string(body)); err == nil {
			d.kind, d.form = formDocument, form
		}
	}
}

// structured reports whether the document has fields: an application wrote it.
func (d *document) structured() bool {
	return d.kind == formDocument || d.kind == jsonDocument && json.Valid(d.body)
}

// unreadable says why the body of a 2xx can't be taken for an answer.
func (d *document) unreadable(r *response) (reason string, err error) {
	switch {
	case r.incomplete != "":
		return r.incomplete, r.err
	case r.header.Get("Content-Encoding") != "" && d.body == nil && len(r.body) > 0:
		return "content_encoding", errCoding
	case len(d.body) == 0:
		return "empty", errMissing
	case d.kind == markupDocument && d.xml(r):
		return "xml", errXML
	case d.kind == markupDocument:
		return "content_type", errMarkup
	case d.kind == noDocument:
		return "content_type", errBody
	case d.kind == jsonDocument && !json.Valid(d.body):
		return "json", errJSON
	}
	return "", nil
}

func (d *document) xml(r *response) bool {
	start := bytes.ToLower(d.body[:min(len(d.body), 64)])
	if bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html")) || isType(r.header, "html") {
		return false
	}
	return bytes.HasPrefix(start, []byte("<?xml")) || bytes.Contains(start, []byte("oauth")) || isType(r.header, "xml")
}

// get finds the value under a name, or under a path of names joined by dots.
func (d *document) get(name string) value {
	switch d.kind {
	case formDocument:
		return formValue(d.form, name)
	case jsonDocument:
		return d.object.get(name)
	}
	return value{}
}

func formValue(form url.Values, name string) value {
	all := form[name]
	if len(all) == 0 {
		return value{}
	}
	v := value{kind: text, text: all[0], doubtful: len(all) > 1}
	for _, again := range all {
		v.conflict = v.conflict || again != all[0]
	}
	for key := range form {
		v.doubtful = v.doubtful || key != name && strings.EqualFold(key, name)
	}
	return v
}
