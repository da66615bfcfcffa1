package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
)

// formatKeys are the keys that only one format reads.
var formatKeys = map[string]string{
	"variable": "env", "machine": "netrc", "login": "netrc",
	"registry": "dockerconfigjson", "username": "dockerconfigjson", "user": "kubeconfig",
}

// registryName is the key of an entry in a Docker configuration: a host, with a
// port or a path where there are several registries, or the address that
// Docker's own has.
var registryName = regexp.MustCompile(`^(https?://)?[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?$`)

var userWord = regexp.MustCompile(`^[!-~]+$`)

// validateOptions judges what the formats in use are told, and fills in what
// hangs on them.
func (d *decoder) validateOptions(s section, used []string, o *FormatOptions) {
	for key, format := range formatKeys {
		if !slices.Contains(used, format) && s.has(key) {
			s.fault(key, "Argument of another format", fmt.Sprintf("%q says something only with the format %q.", key, format))
		}
	}
	for _, format := range used {
		switch format {
		case "env":
			d.validateEnv(s, o)
		case "netrc":
			d.validateNetrc(s, o)
		case "dockerconfigjson":
			d.validateDocker(s, o)
		case "kubeconfig":
			d.validateUser(s, o)
		}
	}
}

func (d *decoder) validateEnv(s section, o *FormatOptions) {
	if o.Variable == "" && !s.has("variable") {
		o.Variable = "TOKEND_ACCESS_TOKEN"
	}
	if !plainName.MatchString(o.Variable) {
		s.fault("variable", "Unsuitable variable", "A variable's name is of letters, digits and underscores, and does not begin with a digit.")
	}
}

func (d *decoder) validateNetrc(s section, o *FormatOptions) {
	if !s.has("machine") {
		d.fault(s.defRange, "Missing machine", s.note("The format \"netrc\" needs the name of the host that the token is for: machine = \"api.example.com\"."))
	} else if !netrcWord.MatchString(o.Machine) {
		s.fault("machine", "Unsuitable machine", "A machine is the name of a host.")
	}
	if !s.has("login") {
		o.Login = "oauth2"
	}
	if !netrcWord.MatchString(o.Login) {
		s.fault("login", "Unsuitable login", "A login is one word.")
	}
}

func (d *decoder) validateDocker(s section, o *FormatOptions) {
	if !s.has("registry") {
		d.fault(s.defRange, "Missing registry", s.note("The format \"dockerconfigjson\" needs the registry that the token is for: registry = \"registry.example.com\"."))
	} else if !registryName.MatchString(o.Registry) {
		s.fault("registry", "Unsuitable registry", "A registry is the name of a host, with a port or path where it needs one: \"registry.example.com:5000\".")
	}
	if !s.has("username") {
		o.Username = "oauth2accesstoken"
	}
	if !userWord.MatchString(o.Username) || strings.Contains(o.Username, ":") {
		s.fault("username", "Unsuitable username", "A username is one word without a colon (RFC 7617 section 2).")
	}
}

func (d *decoder) validateUser(s section, o *FormatOptions) {
	if !s.has("user") {
		o.User = "tokend"
	}
	if !userWord.MatchString(o.User) {
		s.fault("user", "Unsuitable user", "The user of a kubeconfig is one word.")
	}
}

// templateFault says what is wrong with a template.
func (d *decoder) templateFault(text string) error {
	err, known := d.checks[text]
	if !known {
		err = d.checkTemplate(text)
		d.checks[text] = err
	}
	return err
}

// checkTemplate leaves it to the sinks which fields and functions there are.
func (d *decoder) checkTemplate(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	tree := parse.New("template")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "", "", map[string]*parse.Tree{}); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	if d.opts.CheckTemplate != nil {
		return d.opts.CheckTemplate(text)
	}
	return nil
}
