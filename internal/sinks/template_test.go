package sinks_test

import (
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

func TestTemplate(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{{ .AccessToken }}`, "ab-._~+/12=="},
		{`{{ .TokenType }} {{ .Scope }} {{ .Generation }} {{ .Lifetime }}`, "bearer user password 7 1h0m0.7s"},
		{`{{ .ExpiresAt }} {{ .IssuedAt }}`, "2026-01-02T03:04:05Z 2026-01-02T02:04:05Z"},
		{`{{ .ExpiresAt.Unix }} {{ .ExpiresAt.Format "15:04" }}`, "1767323045 03:04"},
		{`{"t":{{ json .AccessToken }},"at":{{ json .ExpiresAt }}}`, `{"t":"ab-._~+/12==","at":"2026-01-02T03:04:05Z"}`},
		{`T={{ shellquote .AccessToken }}`, "T='ab-._~+/12=='"},
		{`{{ base64 .AccessToken }}`, "YWItLl9+Ky8xMj09"},
		{`{{ format "header" . }}`, "Authorization: Bearer ab-._~+/12==\n"},
		{`{{ with "me" }}{{ format "json" $ }}{{ end }}`, `{"access_token":"ab-._~+/12==","token_type":"bearer","scope":"user password",` +
			`"expires_at":"2026-01-02T03:04:05Z","expires_in":3600,"generation":7}` + "\n"},
		{`{{ format "netrc" . "login" "me" "machine" "api.example" }}`, "machine api.example\nlogin me\npassword ab-._~+/12==\n"},
		{`?t={{ urlquery .AccessToken }}`, "?t=ab-._~%2B%2F12%3D%3D"},
	} {
		f, err := sinks.NewTemplate(test.text)
		if err != nil {
			t.Errorf("NewTemplate(%q): %v", test.text, err)
			continue
		}
		got, err := f.Render(sample())
		if err != nil || string(got) != test.want {
			t.Errorf("%q renders %q, %v; want %q", test.text, got, err, test.want)
		}
	}
}

func TestTemplateFaultsAreFoundBeforeTheFirstToken(t *testing.T) {
	for _, text := range []string{
		`{{ .AccessToken `,
		`{{ .Acces }}`,
		`{{ nosuch .AccessToken }}`,
		`{{ template "none" }}`,
		`{{ index .Scope "x" }}`,
		`{{ format "netrc" . }}`,
		`{{ format "nosuch" . }}`,
		`{{ format "netrc" . "machine" }}`,
		`{{ format "netrc" . "machin" "a" }}`,
		`{{ format "header" .AccessToken }}`,
		`{{ range 100000000 }}xxxxxxxxxxxxxxxx{{ end }}`,
	} {
		if _, err := sinks.NewTemplate(text); err == nil {
			t.Errorf("NewTemplate(%q) returned nil", text)
		}
	}
}

// consul-template#1613 and CVE-2022-38149: errors of a template quote the secret
// that it stumbled over.
func TestTemplateErrorHoldsNoToken(t *testing.T) {
	for _, text := range []string{
		"{{ if eq .Generation 1 }}{{ else }}\n  {{ index (json .AccessToken) .AccessToken }}{{ end }}",
		"{{ if ne .Generation 1 }}\n  {{ template .AccessToken }}{{ end }}",
		"{{ if ne .Generation 1 }}\n  {{ call .AccessToken }}{{ end }}",
		"{{ if ne .Generation 1 }}\n  {{ slice .AccessToken 4 100000 }}{{ end }}",
		"{{ if ne .Generation 1 }}\n  {{ len (index .AccessToken 100000) }}{{ end }}",
		"{{ if ne .Generation 1 }}\n  {{ lt .AccessToken 3 }}{{ end }}",
	} {
		f, err := sinks.NewTemplate(text)
		if err != nil {
			continue // some are refused at once, which is as good
		}
		tok := sample()
		tok.AccessToken = token.NewSecret("canary-0123456789")
		content, err := f.Render(tok)
		if err == nil {
			t.Errorf("%q renders %q", text, content)
			continue
		}
		if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "0123") {
			t.Errorf("the error %q holds the token", err)
		}
		if !strings.Contains(err.Error(), "line 2") {
			t.Errorf("the error %q does not say where", err)
		}
	}
}
