package config

import (
	"strings"
	"testing"
)

// TestMaskHidesSecretsHoweverTheyAreWritten: each source holds "hunter2", which
// must go, and each word of shown, which must stay, for a person has to find
// the fault.
func TestMaskHidesSecretsHoweverTheyAreWritten(t *testing.T) {
	for name, tc := range map[string]struct {
		source string
		shown  []string
	}{
		"plain":                   {`client_secret = "hunter2"`, []string{"client_secret ="}},
		"no quotes":               {`client_secret = hunter2`, nil},
		"no quotes with a dot":    {`client_secret = hunter2.hunter2`, nil},
		"a number":                {"password = 12hunter2", nil},
		"single quotes":           {`client_secret = 'hunter2'`, nil},
		"backticks":               {"client_secret = `hunter2`", nil},
		"no equals sign":          {`client_secret "hunter2"`, []string{"client_secret"}},
		"a colon":                 {`client_secret: "hunter2"`, []string{"client_secret"}},
		"unclosed":                {"client_secret = \"hunter2\nprovider = \"hunter2\n", nil},
		"a heredoc":               {"client_secret = <<EOT\nhunter2\nEOT\n", nil},
		"in a template":           {`client_secret = "a${"hunter2"}b"`, nil},
		"in a function":           {`client_secret = upper("hunter2")`, []string{"upper("}},
		"a default of env":        {`client_secret = env("NAME", "hunter2")`, []string{`env("NAME"`}},
		"in a condition":          {`client_secret = true ? "hunter2" : "hunter2"`, nil},
		"a typo of the name":      {`client_secert = "hunter2"`, []string{"client_secert"}},
		"in a map":                {`headers = { "X-Key" = "hunter2", Accept = "hunter2" }`, []string{`"X-Key" =`, "Accept ="}},
		"in a map of many lines":  {"headers = {\n  X-Key = \"hunter2\"\n  mode = \"hunter2\"\n}", []string{"X-Key ="}},
		"in a grant":              {"grant \"password\" {\n  provider = \"hunter2\"\n  scope = \"read\"\n}", []string{`"password"`, `"read"`}},
		"in a grant on one line":  {`grant "password" { path = "hunter2" }`, nil},
		"in a dynamic grant":      {"dynamic \"grant\" {\n  for_each = [\"hunter2\"]\n  content {\n    mode = \"hunter2\"\n  }\n}", []string{`"grant"`, "for_each"}},
		"in a fleet's data":       {"for_each = { acme = { secret = \"hunter2\" } }", []string{"acme =", "secret ="}},
		"in an address":           {`token_endpoint = "https://user:hunter2@auth.example/"`, nil},
		"escaped in an address":   {`token_endpoint = "https://user:hunter2%2B1@auth.example/?a=%20hunter2"`, nil},
		"in a query":              {`url = "https://api.example/?key=hunter2"`, nil},
		"in a comment":            {`client_secret = "x" # was hunter2`, nil},
		"in a comment on a block": {"token \"t\" { # hunter2\n}", []string{`token "t" {`}},
		"in a command":            {`command = ["mysql", "-phunter2"]`, nil},
		"after a stray brace":     {"}\n}\nclient_secret = \"hunter2\"", []string{"client_secret"}},
		"a Vault token":           {"vault \"main\" {\n  auth \"token\" {\n    token = \"hunter2\"\n  }\n}", []string{`vault "main"`, `auth "token"`}},
		"an approle":              {"vault \"main\" {\n  auth \"approle\" {\n    mount     = \"team\"\n    secret_id = \"hunter2\"\n    role_id   = \"hunter2\"\n  }\n}", []string{`"team"`}},
		"in a Secret's data":      {"sink \"kubernetes_secret\" {\n  namespace = \"shop\"\n  data = { \"user.txt\" = \"hunter2\", id = \"hunter2\" }\n}", []string{`"shop"`, `"user.txt" =`, "id ="}},
		"beside a function":       {`client_secret = format("hunter2", vault("secret/p", "field"), "hunter2")`, []string{`vault("secret/p", "field")`}},
		"a state's key":           {"state \"file\" {\n  key = \"hunter2\"\n}", []string{`state "file"`}},
	} {
		t.Run(name, func(t *testing.T) {
			for before, around := range map[string]string{"": "", "provider \"p\" {\n": "\n}\n"} {
				got := string(showMasks(mask([]byte(before+tc.source+around), "tokend.hcl")))
				if strings.Contains(got, "hunter2") {
					t.Errorf("the secret shows:\n%s", got)
				}
				for _, word := range tc.shown {
					if before != "" && !strings.Contains(got, word) {
						t.Errorf("%q is gone:\n%s", word, got)
					}
				}
			}
		})
	}
}

func TestMaskShowsWhatIsNoSecret(t *testing.T) {
	const source = `provider "p" {
  profile        = "rator"
  token_endpoint = "https://auth.example/token"
  client_secret  = file("/etc/tokend/p.secret")
  client_secret  = vault("secret/p", "password", "main")
  client_secret  = kubernetes_secret("shop/p", "password")
  schedule {
    cron = ["@daily", "55 1 * * *"]
  }
}
dynamic "token" {
  for_each = jsondecode(file("fleet.json"))
  labels   = ["tenant-${token.key}"]
  content {
    client_secret = token.value.client.secret
    sink "file" {
      path = "/run/${token.key}"
      mode = 640
    }
  }
}
`
	if got := string(showMasks(mask([]byte(source), "tokend.hcl"))); got != source {
		t.Errorf("masked to:\n%s", got)
	}
}
