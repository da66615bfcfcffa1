package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/tokend-project/tokend/internal/problem"
)

//go:embed assets
var assets embed.FS

// document is one page that is the same for everybody, and its policy.
type document struct {
	body   []byte
	policy string
}

func (d document) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", d.policy)
	_, _ = w.Write(d.body)
}

// lazily renders a document when it is first asked for: most daemons are never.
func lazily(make func() document) http.Handler {
	once := sync.OnceValue(make)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { once().ServeHTTP(w, r) })
}

func statusDocument() document {
	entries := map[string]problem.Entry{}
	for _, code := range problem.Codes() {
		entries[code], _ = problem.Find(code)
	}
	return render("page.html", script(), entries)
}

// script is one function of several files, which share their names and leave none
// behind.
func script() string {
	var b strings.Builder
	b.WriteString("\"use strict\";\n(() => {\n")
	for _, name := range []string{"tokens", "list", "summary", "detail", "keys", "live"} {
		b.WriteString(asset(name + ".js"))
	}
	b.WriteString("})();\n")
	return b.String()
}

func problemsDocument() document { return render("problems.html", "", problem.Groups()) }

// render puts style and script into a document, and allows exactly these two by
// their hashes. What is embedded is known to be well-formed, so an error is a
// defect that every test meets.
func render(name, code string, data any) document {
	style := asset("page.css")
	t := template.Must(template.ParseFS(assets, "assets/"+name))
	var b bytes.Buffer
	err := t.Execute(&b, map[string]any{
		"Style":  template.CSS(style), //nolint:gosec // our own file, and not what anybody sent
		"Script": template.JS(code),   //nolint:gosec // likewise
		"Data":   data,
	})
	if err != nil {
		panic(fmt.Errorf("render %s: %w", name, err))
	}
	return document{b.Bytes(), fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; img-src data:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
		hash(style), hash(code))}
}

func asset(name string) string {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(fmt.Errorf("read an embedded file: %w", err))
	}
	return string(content)
}

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
