package devserver

import (
	"strings"
	"text/template"
	"time"
)

// Config returns the configuration that `tokend dev` runs and prints: six tokens
// of the three APIs at baseURL (such as "http://127.0.0.1:8080"), written to
// files below dir, which must be absolute. Its schedule fits the server's
// lifetime. Every secret in it is a demonstration value.
func (s *Server) Config(baseURL, dir string) string {
	var b strings.Builder
	part := (s.options.Lifetime / 6).Truncate(time.Millisecond)
	lead := min(max(part, time.Millisecond), 5*time.Minute)
	floor := min(max((part*2/5).Truncate(time.Millisecond), time.Millisecond), 10*time.Second)
	err := configTemplate().Execute(&b, map[string]any{
		"Base":     strings.TrimSuffix(baseURL, "/"),
		"Dir":      strings.TrimSuffix(dir, "/"),
		"Lifetime": s.options.Lifetime.String(),
		"Lead":     lead.String(),
		"Floor":    floor.String(),
		"Every":    min(max(part, time.Second), time.Minute).String(),
		"Brand":    ratorBrand,
	})
	if err != nil {
		panic(err) // the template is a constant, and writing to a Builder never fails
	}
	return b.String()
}

// quoteHCL writes a string as HCL reads it, where ${ and %{ start templates.
func quoteHCL(parts ...string) string {
	return `"` + strings.NewReplacer(
		`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${", "%{", "%%{",
	).Replace(strings.Join(parts, "")) + `"`
}

func configTemplate() *template.Template {
	books := demoBooks()
	return template.Must(template.New("config").Funcs(template.FuncMap{
		"q":        quoteHCL,
		"book":     func(api API) *book { return books[api] },
		"endpoint": func(api API) string { return pathsOf(api).token },
		"resource": func(api API) string { return pathsOf(api).resource },
		"id":       func(b *book) string { return b.clients[len(b.clients)-1].id },
		"secret":   func(b *book) string { return b.clients[len(b.clients)-1].secret },
		"name":     func(b *book, i int) string { return b.accounts[i].name },
		"password": func(b *book, i int) string { return b.accounts[i].password },
	}).Parse(configText))
}

const configText = `# What "tokend dev" runs: six tokens of three APIs, kept fresh in files.
# The APIs are played by a built-in server on this machine, whose access tokens
# live {{.Lifetime}}. Every secret here is a demonstration value; in earnest, write
# file("/etc/tokend/…"), env("…") or credential("…") in its place.

state "file" {
  path = {{q .Dir "/state"}} # what survives a restart
}

control {
  socket = {{q .Dir "/control.sock"}} # tokend --socket … status
}

log {
  level  = "info"
  format = "text"
}

# Musement: one GET, everything in the query. The profile knows that; what is
# left to write is where, who, and the headers that the vendor asks for.
{{- with $b := book "musement"}}
provider "musement" {
  profile        = "musement"
  token_endpoint = {{q $.Base (endpoint "musement")}}
  client_id      = {{q (id $b)}}
  client_secret  = {{q (secret $b)}}

  request {
    headers = {
      X-Musement-Application = "tokend-dev"
      X-Musement-Version     = "3.4.0"
    }
  }
  schedule {
    lead         = {{q $.Lead}} # renew at least this long before expiry
    min_interval = {{q $.Floor}} # never two requests for one token faster than this
  }
}

# No customer, so no refresh token either: tokend logs in anew each time.
token "musement-app" {
  provider = "musement"
  grant "client_credentials" {}
  sink "file" {
    path = {{q $.Dir "/musement/app.token"}}
  }
}

# A customer's token. The refresh token rotates: each one works once.
token "musement-user" {
  provider = "musement"
  grant "password" {
    username = {{q (name $b 0)}}
    password = {{q (password $b 0)}}
  }
  probe { # a 401 here means "get a new token now", whatever the expiry said
    url   = {{q $.Base (resource "musement")}}
    every = {{q $.Every}}
  }
  sink "file" { # curl -H @musement/user.header …
    path   = {{q $.Dir "/musement/user.header"}}
    format = "header"
  }
}
{{- end}}

# GreyMatter: its fixed client and "Accept: application/json" are in the profile.
{{- with $b := book "greymatter"}}
provider "greymatter" {
  profile        = "greymatter"
  token_endpoint = {{q $.Base (endpoint "greymatter")}}

  schedule {
    lead         = {{q $.Lead}}
    min_interval = {{q $.Floor}}
  }
}

token "greymatter-upstream" {
  provider = "greymatter"
  grant "password" {
    username = {{q (name $b 0)}}
    password = {{q (password $b 0)}}
  }
  probe {
    url     = {{q $.Base (resource "greymatter")}}
    every   = {{q $.Every}}
    headers = {
      Accept       = "application/json"
      Content-Type = "application/json"
    }
  }
  sink "file" { # access_token, expires_at, generation … for programs
    path   = {{q $.Dir "/greymatter/token.json"}}
    format = "json"
  }
}
{{- end}}

# Rator: logins in the query with brand_key, refreshes in a form with brandKey.
{{- with $b := book "rator"}}
provider "rator" {
  profile        = "rator"
  token_endpoint = {{q $.Base (endpoint "rator")}}
  client_id      = {{q (id $b)}}
  client_secret  = {{q (secret $b)}}

  request {
    query = { brand_key = {{q $.Brand}} }
  }
  request "refresh_token" {
    params = { brandKey = {{q $.Brand}} }
  }
  schedule {
    lead         = {{q $.Lead}}
    min_interval = {{q $.Floor}}
  }
}

token "rator-customer" {
  provider = "rator"
  grant "password" {
    username = {{q (name $b 0)}}
    password = {{q (password $b 0)}}
  }
  sink "file" { # for a shell: . rator/customer.env
    path   = {{q $.Dir "/rator/customer.env"}}
    format = "env"
  }
}

# operator_password is Rator's own grant. tokend sends any grant_type as it is
# labelled, so it needs no code to know this one.
token "rator-operator" {
  provider = "rator"
  grant "operator_password" {
    username = {{q (name $b 1)}}
    password = {{q (password $b 1)}}
  }
  probe {
    url     = {{q $.Base (resource "rator")}}
    every   = {{q $.Every}}
    headers = { X-RATOR-brand-key = {{q $.Brand}} }
  }
  sink "file" { # a token can have several sinks
    path = {{q $.Dir "/rator/operator.token"}}
  }
  sink "file" {
    path   = {{q $.Dir "/rator/operator.json"}}
    format = "json"
  }
}

# Newer versions of Rator also want to know which operator the client acts for.
token "rator-system" {
  provider = "rator"
  grant "client_credentials" {
    operator = {{q (name $b 1)}}
  }
  sink "file" {
    path = {{q $.Dir "/rator/system.token"}}
  }
}
{{- end}}
`
