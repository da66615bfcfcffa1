package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// schemaAt are the schemas below a block, by the path of the reference. What a
// block has several kinds of stands there by kind.
func schemaAt(path string) []string {
	kinds := map[string][]string{"state": stateKinds, "token.sink": sinkKinds, "vault.auth": slices.Sorted(maps.Keys(authSchemas))}
	known, ok := kinds[path]
	if !ok {
		return []string{path}
	}
	paths := make([]string, len(known))
	for i, kind := range known {
		paths[i] = fmt.Sprintf("%s %q", path, kind)
	}
	return paths
}

func byPath(t *testing.T) map[string]described {
	t.Helper()
	all := map[string]described{}
	for _, d := range descriptions() {
		if _, twice := all[d.path]; twice {
			t.Errorf("%s is described twice", d.path)
		}
		all[d.path] = d
	}
	return all
}

// TestEveryBlockAndKeyIsDescribed walks the schemas from the root.
func TestEveryBlockAndKeyIsDescribed(t *testing.T) {
	t.Parallel()
	left := byPath(t)
	delete(left, "dynamic") // which may stand everywhere
	var walk func(prefix string, sch *schema)
	walk = func(prefix string, sch *schema) {
		for _, b := range sch.blocks {
			for _, path := range schemaAt(prefix + b.name) {
				d, ok := left[path]
				if !ok {
					t.Errorf("the block %s is not described", path)
					continue
				}
				delete(left, path)
				walk(path+".", d.schema)
			}
		}
	}
	walk("", &rootSchema)
	for path := range left {
		t.Errorf("%s is described, and cannot be written", path)
	}
	for path, d := range byPath(t) {
		var names []string
		for _, k := range d.keys {
			names = append(names, k.Name)
			if k.Meaning == "" || k.Type == "" || strings.Contains(k.Meaning, "\n") {
				t.Errorf("%s.%s: a key has a type and one line of meaning", path, k.Name)
			}
			if k.Default == "" && !slices.Contains(d.schema.required, k.Name) && !d.schema.open {
				t.Errorf("%s.%s: what is not required has a default", path, k.Name)
			}
		}
		if missing, extra := without(d.schema.attrs, names), without(names, d.schema.attrs); !d.schema.open && len(missing)+len(extra) > 0 {
			t.Errorf("%s: the keys %v are not described; %v are not keys", path, missing, extra)
		}
	}
}

func without(all, those []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(those, s) })
}

// stages are configurations in which a block stands with what it needs; %s is
// where a key of it goes.
var stages = map[string]string{
	`state "file"`:              `state "file" { %s }`,
	`state "kubernetes_secret"`: `state "kubernetes_secret" { %s }`,
	`state "vault_kv"`: `state "vault_kv" {
		%s
	}` + stageVault,
	"ha": `state "kubernetes_secret" {}
	ha "kubernetes" { %s }`,
	"http":       `http { %s }`,
	"metrics":    `metrics { %s }`,
	"systemd":    `systemd { %s }`,
	"tracing":    `tracing { %s }`,
	"control":    `control { %s }`,
	"log":        `log { %s }`,
	"kubernetes": `kubernetes "main" { %s }`,
	"vault": `vault "main" {
		%s
		address = "https://v.example:8200"
		auth "token" {
			token = "t"
		}
	}`,
	"vault.tls": `vault "main" {
		address = "https://v.example:8200"
		tls { %s }
		auth "token" {
			token = "t"
		}
	}`,
	"provider":                `provider "p" { ` + "\n%s\n" + ` token_endpoint = "https://a.example" ` + "\n}",
	"provider.request":        stageProvider("request"),
	"provider.response":       stageProvider("response"),
	"provider.refresh_tokens": stageProvider("refresh_tokens"),
	"provider.schedule":       stageProvider("schedule"),
	"provider.limits":         stageProvider("limits"),
	"provider.tls":            stageProvider("tls"),
	"token":                   stageToken("%s"),
	"token.grant":             strings.Replace(stageToken(""), "{}", "{ %s }", 1),
	"token.schedule":          stageToken("schedule { %s }"),
	"token.probe":             stageToken("probe {\n%s\nurl = \"https://r.example\"\n}"),
	"token.on_update":         stageToken("on_update {\n%s\ncommand = [\"true\"]\n}"),
	`token.sink "file"`:       stageToken("sink \"file\" {\n%s\npath = \"/run/t\"\n}"),
	`token.sink "kubernetes_secret"`: stageToken(`sink "kubernetes_secret" {
		%s
		name = "n"
		data = { t = "x" }
	}`),
	`token.sink "vault_kv"`: stageToken(`sink "vault_kv" {
		%s
		mount = "secret"
		path = "p"
		data = { t = "x" }
	}`) + stageVault,
}

const stageVault = `
vault "main" {
	address = "https://v.example:8200"
	auth "token" {
		token = "t"
	}
}`

func stageProvider(block string) string {
	return "provider \"p\" {\ntoken_endpoint = \"https://a.example\"\n" + block + " { %s }\n}"
}

func stageToken(inside string) string {
	return "provider \"p\" {\ntoken_endpoint = \"https://a.example\"\nclient_id = \"c\"\nclient_secret = \"s\"\n}\n" +
		"token \"t\" {\nprovider = \"p\"\ngrant \"client_credentials\" {}\n" + inside + "\n}"
}

func stageAuth(method string, sch *schema) string {
	needs := "%s\n"
	for _, name := range sch.required {
		needs += name + " = \"/x\"\n"
	}
	return `vault "main" {
		address = "https://v.example:8200"
		tls {
			cert_file = "/c.pem"
			key_file = "/c.pem"
		}
		auth "` + method + `" {
			` + needs + `
		}
	}`
}

// stageOf is the stage of a key: what it sets stands there no second time, and
// the format is there that reads it.
func stageOf(t *testing.T, path string, k KeyDoc) string {
	t.Helper()
	text, ok := stages[path]
	if method, is := strings.CutPrefix(path, "vault.auth "); is {
		method = strings.Trim(method, `"`)
		text, ok = stageAuth(method, authSchemas[method]), true
	}
	if !ok {
		t.Fatalf("no stage for %s", path)
	}
	var kept []string
	for line := range strings.Lines(text) {
		if name, _, is := strings.Cut(strings.TrimSpace(line), " = "); is && name == k.Name && !strings.Contains(path, "vault.tls") {
			continue
		}
		kept = append(kept, line)
	}
	text = strings.Join(kept, "")
	format, special := formatKeys[k.Name]
	if special && strings.HasPrefix(path, "token.sink") {
		add := "format = \"" + format + "\""
		if !strings.Contains(path, "file") {
			add = "formats = { f = \"" + format + "\" }"
		}
		for _, need := range []string{"machine", "registry"} {
			if formatKeys[need] == format && k.Name != need {
				add += "\n" + need + " = \"h.example\""
			}
		}
		text = strings.Replace(text, "%s", add+"\n%s", 1)
	}
	return strings.Replace(text, "%s", "%[1]s", 1)
}

func said(report *Report) string {
	var b strings.Builder
	_ = report.Write(&b, false, 0)
	return b.String()
}

// TestDefaultsAreThoseOfTheReference writes each default that is a value, and
// expects the same configuration as without.
func TestDefaultsAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	checked := 0
	for path, d := range byPath(t) {
		if path == "dynamic" {
			continue
		}
		for _, k := range d.keys {
			if !k.IsLiteral() || k.Name == "…" {
				continue
			}
			stage := stageOf(t, path, k)
			bare, report := loadText(t, fmt.Sprintf(stage, ""), exampleOptions())
			if report.Err() != nil {
				t.Errorf("%s.%s: the stage is at fault:\n%s", path, k.Name, said(report))
				continue
			}
			full, report := loadText(t, fmt.Sprintf(stage, k.Name+" = "+k.Default), exampleOptions())
			if report.Err() != nil {
				t.Errorf("%s.%s = %s is refused:\n%s", path, k.Name, k.Default, said(report))
				continue
			}
			checked++
			if !reflect.DeepEqual(settled(bare), settled(full)) {
				t.Errorf("%s.%s: the default is not %s", path, k.Name, k.Default)
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d defaults were looked at", checked)
	}
}

// settled takes away the difference between no list and an empty one.
func settled(cfg *Config) *Config {
	for _, p := range cfg.Providers {
		if len(p.Schedule.Cron) == 0 {
			p.Schedule.Cron = nil
		}
		if len(p.Schedule.LoginCron) == 0 {
			p.Schedule.LoginCron = nil
		}
	}
	for _, tok := range cfg.Tokens {
		if tok.Probe != nil && len(tok.Probe.Headers) == 0 {
			tok.Probe.Headers = nil
		}
	}
	return cfg
}

// wrongValues are values of another type.
var wrongValues = map[string]string{
	typeText: `["x"]`, typeSecret: `["x"]`, typePath: `["x"]`, typeMode: `640`, typeDuration: `5`, typeNumber: `"x"`, typeInteger: `1.5`,
	typeBool: `"x"`, typeTexts: `"x"`, typeMap: `"x"`, typeSecrets: `"x"`, typeScope: `[1]`,
}

// TestTypesAreThoseOfTheReference writes a value of another type, and a word that
// is none of those that are listed, and expects a fault.
func TestTypesAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	for path, d := range byPath(t) {
		if path == "dynamic" {
			continue
		}
		for _, k := range d.keys {
			if k.Name == "…" {
				continue
			}
			stage := stageOf(t, path, k)
			wrong := wrongValues[k.Type]
			if k.Words != nil {
				wrong = `"nonsense"`
			}
			_, report := loadText(t, fmt.Sprintf(stage, k.Name+" = "+wrong), exampleOptions())
			got := said(report)
			if !strings.Contains(got, k.Name+" = ") {
				t.Errorf("%s.%s = %s has no fault there:\n%s", path, k.Name, wrong, got)
			}
			if k.Words != nil && !strings.Contains(strings.Join(strings.Fields(got), " "), quotedList(k.Words)) {
				t.Errorf("%s.%s is not one of %s:\n%s", path, k.Name, quotedList(k.Words), got)
			}
		}
	}
}
