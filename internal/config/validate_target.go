package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/hcl/v2"
)

// targets are the places that sinks write to, and where the first to do so
// stands.
type targets struct {
	files   map[string]hcl.Range // by real path
	secrets map[secretTarget]hcl.Range
	fields  map[fieldTarget]hcl.Range

	state   State
	stateAt hcl.Range
}

// secretTarget is a Secret. Blocks that lead to one cluster are alike.
type secretTarget struct{ kubeconfig, context, namespace, name string }

// fieldTarget is a secret in Vault.
type fieldTarget struct{ address, vaultNamespace, mount, path string }

func newTargets(at section, state State) *targets {
	t := &targets{files: map[string]hcl.Range{}, secrets: map[secretTarget]hcl.Range{}, fields: map[fieldTarget]hcl.Range{}, state: state}
	if at.block != nil {
		t.stateAt = at.defRange
	}
	return t
}

func targetOf(k *Kubernetes, namespace, name string) secretTarget {
	return secretTarget{k.Kubeconfig, k.Context, namespace, name}
}

func fieldOf(v *Vault, mount, path string) fieldTarget {
	return fieldTarget{strings.TrimSuffix(v.Address, "/"), v.Namespace, mount, path}
}

// take claims a target for the sink of s.
func take[T comparable](s section, key string, taken map[T]hcl.Range, target T) bool {
	if first, ok := taken[target]; ok {
		s.fault(key, "Two sinks with one target", fmt.Sprintf("The sink at %s writes there already. Give each sink a %s of its own.", lineOf(first), key))
		return false
	}
	taken[target] = s.at(key)
	return true
}

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
	if k.Kubernetes == nil || k.Name == "" {
		return
	}
	if !take(s, "name", taken.secrets, targetOf(k.Kubernetes, k.Namespace, k.Name)) {
		return
	}
	st := taken.state
	if st.Kind == "kubernetes_secret" && targetOf(k.Kubernetes, "", "") == targetOf(&st.Kubernetes, "", "") &&
		k.Namespace == st.Namespace && strings.HasPrefix(k.Name, st.Prefix) {
		s.fault("name", "Sink over the state", fmt.Sprintf("The names of the Secrets that hold the state begin with %q too (%s). Give the sink a name that does not.", st.Prefix, lineOf(taken.stateAt)))
		return
	}
	for ref := range d.remote.inputs {
		if ref.Kubernetes != nil && targetOf(ref.Kubernetes, ref.Namespace, ref.Name) == targetOf(k.Kubernetes, k.Namespace, k.Name) {
			s.fault("name", "Sink over an input", "This configuration reads that Secret itself.")
		}
	}
}

// minCheckEvery keeps a sink from asking Vault all the time.
const minCheckEvery = time.Second

func (d *decoder) validateVaultSink(s section, v *VaultSink, taken *targets) {
	d.validateVaultPath(s, "mount", v.Mount)
	d.validateVaultPath(s, "path", v.Path)
	if v.Version < 0 || v.Version > 2 {
		s.fault("version", "Unsuitable version", "The version of a KV engine is 1 or 2, or 0 to find out.")
	}
	for _, key := range []string{"metadata", "max_versions"} {
		if v.Version == 1 && s.has(key) {
			s.fault(key, "Argument of another version", fmt.Sprintf("%q says something only with version 2 of the KV engine.", key))
		}
	}
	if v.MaxVersions < 0 {
		s.fault("max_versions", "Unsuitable number of versions", "The max_versions is a number from 1 on, or 0 for what the engine says.")
	}
	if v.CheckEvery < minCheckEvery {
		s.fault("check_every", "Unsuitable interval", fmt.Sprintf("The check_every is %s at least, such as \"1m\".", minCheckEvery))
	}
	d.validateMetadata(s, v.Metadata)
	d.validateData(s, v.Data, v.Formats, &v.FormatOptions, func(key string) string {
		if key != "" && !strings.ContainsFunc(key, isControl) {
			return ""
		}
		return "A field has a name without control characters"
	})
	if v.Vault == nil || v.Mount == "" || v.Path == "" || !take(s, "path", taken.fields, fieldOf(v.Vault, v.Mount, v.Path)) {
		return
	}
	st := taken.state
	if st.Kind == "vault_kv" && fieldOf(v.Vault, v.Mount, "") == fieldOf(&st.Vault, st.Mount, "") &&
		(v.Path+"/" == st.Path+"/" || strings.HasPrefix(v.Path, st.Path+"/")) {
		s.fault("path", "Sink over the state", fmt.Sprintf("The state is kept below %q (%s). Give the sink a path elsewhere.", st.Path, lineOf(taken.stateAt)))
		return
	}
	for ref := range d.remote.inputs {
		if ref.Vault != nil && fieldOf(ref.Vault, "", ref.Path) == fieldOf(v.Vault, "", v.Mount+"/"+v.Path) {
			s.fault("path", "Sink over an input", "This configuration reads that secret itself.")
		}
	}
}

// validateData judges what a sink of several keys holds; judge says what is
// wrong with a key.
func (d *decoder) validateData(s section, data, named map[string]string, o *FormatOptions, judge func(key string) string) {
	if (!s.has("data") || s.isGood("data")) && (!s.has("formats") || s.isGood("formats")) && len(data)+len(named) == 0 && s.knows("data") && s.knows("formats") {
		d.fault(s.at("data"), "Sink without data", s.note("A sink of this kind says what it holds: data = { token = \"{{ .AccessToken }}\" }, or formats = { token = \"token\" }."))
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if wrong := judge(key); wrong != "" {
			s.fault("data", "Unsuitable key", fmt.Sprintf("%s: it is %s.", wrong, s.quote("data", key)))
		}
		if err := d.templateFault(data[key]); err != nil {
			s.fault("data", "Unsuitable template", fmt.Sprintf("The template of %s cannot be parsed%s.", s.quote("data", key), d.cause(s.at("data"), err)))
		}
	}
	var used []string
	for _, key := range slices.Sorted(maps.Keys(named)) {
		if wrong := judge(key); wrong != "" {
			s.fault("formats", "Unsuitable key", fmt.Sprintf("%s: it is %s.", wrong, s.quote("formats", key)))
		}
		if _, twice := data[key]; twice {
			s.fault("formats", "Key that is there twice", fmt.Sprintf("%s is in data and in formats. Leave one of them out.", s.quote("formats", key)))
		}
		if format := named[key]; !slices.Contains(formats, format) {
			s.fault("formats", "Unknown format", fmt.Sprintf("The formats are %s; that of %s is %s.%s", quotedList(formats), s.quote("formats", key), s.quote("formats", format), didYouMean(format, formats)))
		} else if !slices.Contains(used, format) {
			used = append(used, format)
		}
	}
	d.validateOptions(s, used, o)
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

// Limits of the custom metadata of KV version 2.
const (
	maxMetadata      = 64
	maxMetadataKey   = 128
	maxMetadataValue = 512
)

func (d *decoder) validateMetadata(s section, all map[string]string) {
	if len(all) > maxMetadata {
		s.fault("metadata", "Too much metadata", fmt.Sprintf("Vault takes %d keys of custom metadata at most.", maxMetadata))
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch {
		case key == "" || len(key) > maxMetadataKey || !isPrintable(key):
			s.fault("metadata", "Unsuitable key", fmt.Sprintf("A key of custom metadata is printable and has up to %d bytes: it is %s.", maxMetadataKey, s.quote("metadata", key)))
		case all[key] == "" || len(all[key]) > maxMetadataValue || !isPrintable(all[key]):
			s.fault("metadata", "Unsuitable metadata", fmt.Sprintf("The value of %s must be printable and have 1 to %d bytes.", s.quote("metadata", key), maxMetadataValue))
		}
	}
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
