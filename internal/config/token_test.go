package config

import (
	"reflect"
	"testing"
	"time"
)

func loadTokens(t *testing.T, text string) map[string]*Token {
	t.Helper()
	cfg, report := loadText(t, text, Options{Env: noEnv})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	tokens := map[string]*Token{}
	for _, tok := range cfg.Tokens {
		tokens[tok.Name] = tok
	}
	return tokens
}

func TestScheduleIsOverriddenKeyByKey(t *testing.T) {
	tokens := loadTokens(t, `
provider "p" {
  token_endpoint = "https://auth.example/token"
  client_id      = "id"
  client_secret  = "secret"
  schedule {
    refresh_at = 0.6
    lead       = "1m"
    cron       = ["@hourly"]
  }
}
token "inherits" {
  provider = "p"
  grant "client_credentials" {}
}
token "overrides" {
  provider = "p"
  grant "client_credentials" {}
  schedule {
    lead       = "2m"
    login_cron = ["@daily"]
    cron       = []
  }
}
`)
	inherited := Schedule{RefreshAt: 0.6, Jitter: 0.1, Lead: time.Minute, MinInterval: 10 * time.Second, Cron: []string{"@hourly"}}
	if got := tokens["inherits"].Schedule; !reflect.DeepEqual(got, inherited) {
		t.Errorf("inherited %+v", got)
	}
	overridden := inherited
	overridden.Lead, overridden.Cron, overridden.LoginCron = 2*time.Minute, []string{}, []string{"@daily"}
	if got := tokens["overrides"].Schedule; !reflect.DeepEqual(got, overridden) {
		t.Errorf("overridden %+v", got)
	}
}

func TestScopeIsATextOrAList(t *testing.T) {
	tokens := loadTokens(t, oneProvider+`
token "text" {
  provider = "p"
  grant "client_credentials" {
    scope = "read  write"
  }
}
token "list" {
  provider = "p"
  grant "client_credentials" {
    scope = ["read", "write"]
  }
}
`)
	for _, tok := range tokens {
		if !reflect.DeepEqual(tok.Grant.Scope, []string{"read", "write"}) || tok.Grant.Params != nil {
			t.Errorf("%s: %+v", tok.Name, tok.Grant)
		}
	}
}

func TestCustomGrantsAreTakenAsTheyAre(t *testing.T) {
	tokens := loadTokens(t, oneProvider+`
token "operator" {
  provider = "p"
  grant "operator_password" {
    username = "op"
    password = "pw"
    attempt  = 3
  }
}
token "urn" {
  provider = "p"
  grant "urn:ietf:params:oauth:grant-type:token-exchange" {
    subject_token = "x"
  }
}
`)
	op := tokens["operator"].Grant
	if op.Kind != "operator_password" || op.Params["username"].Reveal() != "op" || op.Params["attempt"].Reveal() != "3" {
		t.Errorf("grant %v", op.Kind)
	}
	if tokens["urn"].Grant.Kind != "urn:ietf:params:oauth:grant-type:token-exchange" {
		t.Errorf("grant %v", tokens["urn"].Grant.Kind)
	}
}

func TestFleetsOfAllShapes(t *testing.T) {
	tokens := loadTokens(t, oneProvider+`
dynamic "token" {
  for_each = toset(["a", "b"])
  labels   = ["set-${token.key}"]
  content {
    provider = "p"
    grant "client_credentials" {}
  }
}
dynamic "token" {
  for_each = csvdecode("name,id\nx,1\ny,2\n")
  iterator = tenant
  labels   = [format("csv-%s", tenant.value.name)]
  content {
    provider  = "p"
    client_id = tenant.value.id
    grant "password" {
      username = tenant.value.name
      password = upper(tenant.value.name)
    }
    dynamic "sink" {
      for_each = ["json", "env"]
      labels   = ["file"]
      content {
        path   = "/run/${tenant.value.name}.${sink.value}"
        format = sink.value
      }
    }
  }
}
dynamic "token" {
  for_each = { for i in range(3) : "map-${i}" => { lead = i == 0 ? null : "${i}m" } }
  labels   = [token.key]
  content {
    provider = "p"
    grant "client_credentials" {}
    schedule {
      lead = token.value.lead
    }
  }
}
`)
	if len(tokens) != 7 {
		t.Fatalf("%d tokens", len(tokens))
	}
	y := tokens["csv-y"]
	if y.ClientID != "2" || y.Grant.Params["password"].Reveal() != "Y" || len(y.Sinks) != 2 || y.Sinks[1].File.Path != "/run/y.env" || y.Sinks[1].File.Variable != "TOKEND_ACCESS_TOKEN" {
		t.Errorf("token %+v", y)
	}
	if tokens["map-0"].Schedule.Lead != 30*time.Second || tokens["map-2"].Schedule.Lead != 2*time.Minute {
		t.Errorf("leads %s, %s", tokens["map-0"].Schedule.Lead, tokens["map-2"].Schedule.Lead)
	}
}

func TestSinkDefaultsAndModes(t *testing.T) {
	tokens := loadTokens(t, oneProvider+`
token "t" {
  provider = "p"
  grant "client_credentials" {}
  sink "file" {
    path = "/run/tokend//a/../t"
  }
  sink "file" {
    path     = "/run/n"
    mode     = "0640"
    dir_mode = "0755"
    format   = "netrc"
    machine  = "api.example"
  }
}
`)
	want := []FileSink{
		{Path: "/run/tokend/t", Mode: 0o600, DirMode: 0o700, Format: "token", OnRemove: "keep"},
		{Path: "/run/n", Mode: 0o640, DirMode: 0o755, Format: "netrc", Machine: "api.example", Login: "oauth2", OnRemove: "keep"},
	}
	for i, sink := range tokens["t"].Sinks {
		if sink.Kind != "file" || *sink.File != want[i] {
			t.Errorf("sink %d: %+v", i, *sink.File)
		}
	}
}
