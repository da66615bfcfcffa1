package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (d *decoder) validateKubernetesSink(s section, k *KubernetesSink, taken *targets) {
	d.validateNamespace(s, k.Namespace)
	s.demand("name", k.Name != "")
	if k.Name != "" && !isSubdomain(k.Name) {
		s.fault("name", "Unsuitable name", subdomainRule("The name of a Secret"))
	}
	d.validateData(s, k.Data, k.Formats, &k.FormatOptions, func(key string) string {
		if isDataKey(key) {
			return ""
		}
		return "A key of a Secret is of letters, digits, dots, underscores and hyphens, and does not begin with two dots"
	})
	d.validateSecretType(s, k)
	d.validateLabelled(s, "labels", k.Labels)
	d.validateLabelled(s, "annotations", k.Annotations)
	if k.Kubernetes != nil && k.Name != "" {
		taken.secret(s, k)
	}
}

// secretTypes are the types of Secrets that the API server wants keys in: one
// key of each list.
var secretTypes = map[string][][]string{
	"kubernetes.io/dockerconfigjson": {{".dockerconfigjson"}},
	"kubernetes.io/dockercfg":        {{".dockercfg"}},
	"kubernetes.io/tls":              {{"tls.crt"}, {"tls.key"}},
	"kubernetes.io/basic-auth":       {{"username", "password"}},
	"kubernetes.io/ssh-auth":         {{"ssh-privatekey"}},
}

func (d *decoder) validateSecretType(s section, k *KubernetesSink) {
	s.demand("type", k.Type != "")
	if k.Type == "kubernetes.io/service-account-token" {
		s.fault("type", "Unsuitable type", "Secrets of this type are filled in by Kubernetes itself.")
		return
	}
	if !s.knows("data") || !s.knows("formats") {
		return
	}
	for _, keys := range secretTypes[k.Type] {
		if !slices.ContainsFunc(keys, func(key string) bool {
			_, inData := k.Data[key]
			_, inFormats := k.Formats[key]
			return inData || inFormats
		}) {
			s.fault("type", "Missing key", fmt.Sprintf("The API server refuses a Secret of the type %q without the key %s in data or formats.", k.Type, strings.Join(quoted(keys), " or ")))
		}
	}
	if !netrcWord.MatchString(k.Type) {
		s.fault("type", "Unsuitable type", "The type of a Secret is one word, such as \"Opaque\".")
	}
}

// knows reports whether all of an argument was known.
func (s section) knows(name string) bool {
	_, unknown := s.d.unknown[s.at(name)]
	return !s.has(name) || !unknown
}

// managedBy is the label that tokend finds its Secrets by.
const managedBy = "app.kubernetes.io/managed-by"

func (d *decoder) validateLabelled(s section, what string, all map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch {
		case !isQualified(key):
			s.fault(what, "Unsuitable key", fmt.Sprintf("A key of %s is a name of up to 63 letters, digits, dots, underscores and hyphens, with a DNS name and a slash before it where there is one: it is %s.", what, s.quote(what, key)))
		case strings.HasPrefix(key, "tokend/"):
			s.fault(what, "Key that tokend sets", fmt.Sprintf("What begins with tokend/ is tokend's own: %s.", s.quote(what, key)))
		case what == "labels" && key == managedBy && all[key] != "tokend":
			s.fault(what, "Key that tokend sets", fmt.Sprintf("tokend finds its Secrets by %s = \"tokend\".", managedBy))
		case what == "labels" && all[key] != "" && !qualifiedName.MatchString(all[key]):
			s.fault(what, "Unsuitable label", fmt.Sprintf("The value of %s must have up to 63 letters, digits, dots, underscores and hyphens, with a letter or digit at both ends.", s.quote(what, key)))
		}
	}
	size := 0
	for key, value := range all {
		size += len(key) + len(value)
	}
	if what == "annotations" && size > maxAnnotations {
		s.fault(what, "Too many annotations", "The annotations of an object have 256 KiB at most.")
	}
}

// maxAnnotations is what the API server takes of them, in bytes; tokend's own
// need some.
const maxAnnotations = 256<<10 - 1024
