package sinks

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	defaultUsername = "oauth2accesstoken" // what registries take for "the password is an access token"
	defaultUser     = "tokend"
)

// docker is a Docker configuration with one registry.
type docker struct{ registry, username string }

func newDocker(registry, username string) (Format, error) {
	if username == "" {
		username = defaultUsername
	}
	switch {
	case registry == "":
		return nil, fmt.Errorf("the dockerconfigjson format needs a registry: the host that the token is for")
	case !printable(registry):
		return nil, fmt.Errorf("%q cannot be a registry: it is the name of a host, with a port where it has one", registry)
	case !printable(username) || strings.Contains(username, ":"): // RFC 7617 section 2
		return nil, fmt.Errorf("%q cannot be a username: it takes neither spaces nor colons", username)
	}
	return docker{registry, username}, nil
}

func (d docker) Render(t token.Token) ([]byte, error) {
	value := t.AccessToken.Reveal()
	if !printable(value) {
		return nil, fmt.Errorf("render the token for docker: it holds characters that no password in a header may have")
	}
	type entry struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	}
	auth := base64.StdEncoding.EncodeToString([]byte(d.username + ":" + value))
	return marshalLine("a Docker configuration", map[string]map[string]entry{"auths": {d.registry: {d.username, value, auth}}})
}

// kubeconfig is a kubeconfig with one user.
type kubeconfig struct{ user string }

func newKubeconfig(user string) (Format, error) {
	if user == "" {
		user = defaultUser
	}
	if !printable(user) {
		return nil, fmt.Errorf("%q cannot be the user of a kubeconfig: it is one word", user)
	}
	return kubeconfig{user}, nil
}

// Render writes YAML, of which JSON's strings are a part.
func (k kubeconfig) Render(t token.Token) ([]byte, error) {
	value := t.AccessToken.Reveal()
	if !printable(value) {
		return nil, fmt.Errorf("render the token for a kubeconfig: it holds characters that no header may carry")
	}
	name, err := json.Marshal(k.user)
	if err != nil {
		return nil, fmt.Errorf("render the user of a kubeconfig: %w", err)
	}
	quoted, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("render the token for a kubeconfig: %w", err)
	}
	return fmt.Appendf(nil, "apiVersion: v1\nkind: Config\nusers:\n- name: %s\n  user:\n    token: %s\n", name, quoted), nil
}

// ExecCredentialVersion is the version of the format exec-credential.
const ExecCredentialVersion = "client.authentication.k8s.io/v1"

type execCredential struct{}

func (execCredential) Render(t token.Token) ([]byte, error) {
	value := t.AccessToken.Reveal()
	if !printable(value) {
		return nil, fmt.Errorf("render the token for kubectl: it holds characters that no header may carry")
	}
	type status struct {
		ExpirationTimestamp string `json:"expirationTimestamp"`
		Token               string `json:"token"`
	}
	return marshalLine("an ExecCredential", struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Status     status `json:"status"`
	}{ExecCredentialVersion, "ExecCredential", status{stamp(t.ExpiresAt), value}})
}

func marshalLine(what string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("render the token as %s: %w", what, err)
	}
	return append(b, '\n'), nil
}
