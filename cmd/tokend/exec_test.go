package main

import (
	"reflect"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

func TestVariableIsSetOnce(t *testing.T) {
	tok := token.Token{AccessToken: token.NewSecret("new")}
	got := withVariable([]string{"A=1", "TOKEN=old", "TOKEN_TYPE=x", "TOKEN=older"}, "TOKEN", tok)
	if want := []string{"A=1", "TOKEN_TYPE=x", "TOKEN=new"}; !reflect.DeepEqual(got, want) {
		t.Errorf("withVariable = %q, want %q", got, want)
	}
}

func TestDefaultSocketKnowsSystemd(t *testing.T) {
	for dirs, want := range map[string]string{
		"":                "/run/tokend/control.sock",
		"/run/tokend-a":   "/run/tokend-a/control.sock",
		"/run/a:/run/b/c": "/run/a/control.sock",
	} {
		if got := defaultSocket(dirs); got != want {
			t.Errorf("defaultSocket(%q) = %q, want %q", dirs, got, want)
		}
	}
}
