package sinks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// maxRendered bounds what a template may make of a token, in bytes. It is well
// above what any sink takes, and keeps a loop in a template from eating the
// memory.
const maxRendered = 1 << 20

var errTooLong = errors.New("more than 1 MiB of output")

// NewTemplate returns a format that executes text as a Go template (text/template
// with missingkey=error). The data has the fields AccessToken, TokenType, Scope,
// ExpiresAt, IssuedAt (times that print as RFC 3339 in UTC and have the methods of
// [time.Time], so {{ .ExpiresAt.Unix }} works), Generation and Lifetime (a
// [time.Duration]). Beside the template language's own functions, such as
// urlquery and printf, there are json (any value), shellquote and base64 (a
// string each), and format, which puts one of the named formats in, with the
// options that it takes: {{ format "netrc" . "machine" "api.example" }}.
//
// The template is tried on a token of no worth, so that a misspelt field is an
// error here and not at the first delivery. What it does to a real token is
// reported by line and column alone, for an error of text/template quotes the
// data it stumbled over.
func NewTemplate(text string) (Format, error) {
	t, err := template.New("template").Option("missingkey=error").Funcs(functions()).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse the template: %w", err)
	}
	f := rendered{t}
	if err := f.execute(&bytes.Buffer{}, sample()); err != nil {
		return nil, fmt.Errorf("try the template: %w", err)
	}
	return f, nil
}

// Time prints as RFC 3339 in UTC, which is what a consumer can read; Go's own
// String cannot be parsed by anything else.
type Time struct{ time.Time }

// newTime drops what RFC 3339's short form does not show, so that all ways of
// printing agree.
func newTime(t time.Time) Time { return Time{t.UTC().Truncate(time.Second)} }

func (t Time) String() string { return stamp(t.Time) }

// view is what a template sees of a token.
type view struct {
	AccessToken string
	TokenType   string
	Scope       string
	ExpiresAt   Time
	IssuedAt    Time
	Generation  uint64
	Lifetime    time.Duration
}

func newView(t token.Token) view {
	return view{
		AccessToken: t.AccessToken.Reveal(),
		TokenType:   t.TokenType,
		Scope:       t.Scope,
		ExpiresAt:   newTime(t.ExpiresAt),
		IssuedAt:    newTime(t.IssuedAt),
		Generation:  t.Generation,
		Lifetime:    t.Lifetime(),
	}
}

// sample is shaped like a JWT, the most structured token that a template may
// want to take apart.
func sample() view {
	const part = "c2FtcGxlLXNhbXBsZS1zYW1wbGUtc2FtcGxlLXNhbXBsZS1zYW1wbGU"
	issued := time.Unix(1_700_000_000, 0)
	return newView(token.Token{
		Generation:  1,
		AccessToken: token.NewSecret(part + "." + part + "." + part),
		TokenType:   "Bearer",
		Scope:       "sample",
		IssuedAt:    issued,
		ExpiresAt:   issued.Add(time.Hour),
	})
}

func functions() template.FuncMap {
	return template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(b), err
		},
		"shellquote": shellQuote,
		"format":     formatIn,
		"base64":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	}
}

type rendered struct{ template *template.Template }

func (f rendered) Render(t token.Token) ([]byte, error) {
	var b bytes.Buffer
	if err := f.execute(&b, newView(t)); err != nil {
		if errors.Is(err, errTooLong) {
			return nil, fmt.Errorf("render the template: %w", errTooLong)
		}
		return nil, fmt.Errorf("render the template: it fails on this token%s", place(err))
	}
	return b.Bytes(), nil
}

func (f rendered) execute(b *bytes.Buffer, v view) error {
	return f.template.Execute(&bounded{b}, v)
}

// bounded refuses to take more than maxRendered bytes.
type bounded struct{ buffer *bytes.Buffer }

func (w *bounded) Write(p []byte) (int, error) {
	if w.buffer.Len()+len(p) > maxRendered {
		return 0, errTooLong
	}
	return w.buffer.Write(p)
}

// place finds the line and column that text/template names, and lets nothing
// else of its message through.
func place(err error) string {
	m := regexp.MustCompile(`^template: template:(\d+)(?::(\d+))?:`).FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	return " at line " + strings.TrimSuffix(m[1]+", column "+m[2], ", column ")
}
