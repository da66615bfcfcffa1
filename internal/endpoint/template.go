package endpoint

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

// template is a token request with everything encoded that is the same every
// time. It is read-only after newTemplate.
type template struct {
	Request
	line   []byte // method, a space, the path and the endpoint's own query
	query  bool   // line ends within a query: what follows needs "&"
	head   []byte // the rest of the request line and the static headers
	reader *http.Request
}

func newTemplate(u *url.URL, r Request) (*template, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	t := &template{Request: r, reader: &http.Request{Method: r.Method}}
	t.line = append(t.line, r.Method+" "+cmp.Or(u.EscapedPath(), "/")...)
	if u.RawQuery != "" {
		t.line = append(append(t.line, '?'), u.RawQuery...)
		t.query = true
	}
	if r.ParamsIn != "query" {
		t.line = t.appendQuery(t.line, sorted(r.Query))
	}
	head, err := t.headers(u.Host)
	t.head = head
	return t, err
}

func (r Request) check() error {
	var errs []error
	one := func(key, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			errs = append(errs, fmt.Errorf("%s is %q, not one of %s", key, value, strings.Join(allowed, ", ")))
		}
	}
	one("method", r.Method, "POST", "GET")
	one("params_in", r.ParamsIn, "form", "query", "json")
	one("client_auth", r.ClientAuth, "client_secret_basic", "client_secret_post", "none")
	one("basic_encoding", r.BasicEncoding, "rfc6749", "raw")
	if r.Method == "GET" && r.ParamsIn != "query" {
		errs = append(errs, errors.New("a GET has no body: params_in must be query"))
	}
	return errors.Join(errs...)
}

// ours are the headers that frame the message. Of two frames a proxy may
// believe the other one. An Idempotency-Key would make every request look like
// a repetition of the first.
var ours = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Expect", "Te", "Trailer",
	"Accept-Encoding", "Idempotency-Key", "X-Idempotency-Key",
}

func (t *template) headers(host string) ([]byte, error) {
	all := map[string]string{"Accept": "application/json", "User-Agent": "tokend"}
	if t.Method == "POST" {
		all["Content-Type"] = "application/x-www-form-urlencoded"
		if t.ParamsIn == "json" {
			all["Content-Type"] = "application/json"
		}
	}
	seen := map[string]bool{}
	for name, value := range t.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if err := t.checkHeader(canonical, value); err != nil {
			return nil, fmt.Errorf("header %q: %w", name, err)
		}
		if seen[canonical] {
			return nil, fmt.Errorf("header %q is set twice", name)
		}
		seen[canonical] = true
		delete(all, canonical)
		all[name] = value.Reveal()
	}
	head := []byte(" HTTP/1.1\r\nHost: " + host + "\r\nAccept-Encoding: identity\r\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		head = append(head, name+": "+all[name]+"\r\n"...)
	}
	return head, nil
}

func (t *template) checkHeader(canonical string, value token.Secret) error {
	switch {
	case slices.Contains(ours, canonical):
		return errors.New("is not for the configuration to set")
	case canonical == "Authorization" && t.ClientAuth == "client_secret_basic":
		return errors.New("collides with client_auth = \"client_secret_basic\"")
	case canonical == "" || strings.ContainsFunc(canonical, notTokenChar):
		return errors.New("is not a header name (RFC 9110 section 5.1)")
	case strings.ContainsFunc(value.Reveal(), control):
		return errors.New("holds a control character")
	}
	return nil
}

// notTokenChar: RFC 9110 section 5.6.2, tchar.
func notTokenChar(r rune) bool {
	alnum := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// encode writes the whole request into b.
func (t *template) encode(b *buffer, p Params) error {
	all := t.params(make([]pair, 0, 16), p)
	body := getBuffer()
	defer body.release()
	b.b = append(b.b, t.line...)
	switch t.ParamsIn {
	case "query":
		b.b = t.appendQuery(b.b, all)
	case "form":
		body.b = appendForm(body.b, all)
	case "json":
		var err error
		if body.b, err = appendJSON(body.b, all); err != nil {
			return err
		}
	}
	b.b = append(b.b, t.head...)
	if t.ClientAuth == "client_secret_basic" && p.ClientID != "" {
		b.b = appendBasic(b.b, p, t.BasicEncoding == "raw")
	}
	if t.Method == "POST" {
		b.b = append(b.b, "Content-Length: "...)
		b.b = append(strconv.AppendInt(b.b, int64(len(body.b)), 10), "\r\n"...)
	}
	b.b = append(append(b.b, "\r\n"...), body.b...)
	return nil
}

// params gathers what one request says, each name once, in the order of the
// names: what is sent is then the same every time. The first to name a
// parameter wins: protocol, client authentication, grant, configuration.
func (t *template) params(all []pair, p Params) []pair {
	add := func(name, value string) {
		if !slices.ContainsFunc(all, func(o pair) bool { return o.name == name }) {
			all = append(all, pair{name, value})
		}
	}
	add("grant_type", p.GrantType)
	// RFC 6749 section 3.2.1: a client that doesn't authenticate names itself.
	if t.ClientAuth != "client_secret_basic" && p.ClientID != "" {
		add("client_id", p.ClientID)
	}
	if t.ClientAuth == "client_secret_post" && !p.ClientSecret.IsEmpty() {
		add("client_secret", p.ClientSecret.Reveal())
	}
	for name, value := range p.Values {
		add(name, value.Reveal())
	}
	for name, value := range t.Params {
		add(name, value.Reveal())
	}
	if t.ParamsIn == "query" {
		for name, value := range t.Query {
			add(name, value.Reveal())
		}
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return all
}

// secrets are what must not come back in an error: everything that was sent but
// the names of things.
func (t *template) secrets(p Params) []string {
	var all []string
	for _, values := range []map[string]token.Secret{p.Values, t.Params, t.Query, t.Headers} {
		for name, value := range values {
			switch textproto.CanonicalMIMEHeaderKey(name) {
			case "Scope", "Accept", "Content-Type", "User-Agent":
			default:
				all = append(all, value.Reveal())
			}
		}
	}
	return append(all, p.ClientSecret.Reveal(), basic(p, false), basic(p, true))
}
