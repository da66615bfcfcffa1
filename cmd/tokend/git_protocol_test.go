package main

import (
	"maps"
	"strings"
	"testing"
)

func TestWhatGitSays(t *testing.T) {
	for text, want := range map[string]gitCredential{
		"":                            {},
		"protocol=https\nhost=a:8443": {"protocol": "https", "host": "a:8443"},
		"host=a\n\nhost=b\n":          {"host": "a"},
		"password=a=b=\nusername=\n":  {"password": "a=b=", "username": ""},
		"host=a\nwwwauth[]=Basic\ncapability[]=authtype\nstate[]=x": {"host": "a"},
		"host=a\nhost=b": {"host": "b"},
	} {
		got, err := readGitCredential(strings.NewReader(text))
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%q is read as %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"host", "\x00", "a=" + strings.Repeat("b", maxGitCredential)} {
		if got, err := readGitCredential(strings.NewReader(text)); err == nil {
			t.Errorf("%.20q is read as %v", text, len(got))
		}
	}
}

func TestPlainHTTPToThisMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:3000": true, "[::1]:3000": true, "[::1]": true, "localhost:80": true,
		"git.example": false, "127.0.0.1.example:80": false, "": false, ":80": false,
	} {
		if got := isLoopback(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}
