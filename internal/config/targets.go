package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// targets are the places that sinks write to, with where the first to do so
// stands, and those that they must not write to.
type targets struct {
	files   map[string]hcl.Range // by real path
	secrets map[secretTarget]hcl.Range
	fields  map[fieldTarget]hcl.Range

	readSecrets map[secretTarget]struct{} // by the configuration itself
	readFields  map[fieldTarget]struct{}

	state   State
	stateAt hcl.Range
}

// secretTarget is a Secret. Blocks that lead to one cluster are alike.
type secretTarget struct{ kubeconfig, context, namespace, name string }

// fieldTarget is a secret in Vault.
type fieldTarget struct{ address, namespace, path string }

func newTargets(at section, state State, read *remotes) *targets {
	t := &targets{
		files: map[string]hcl.Range{}, secrets: map[secretTarget]hcl.Range{}, fields: map[fieldTarget]hcl.Range{},
		readSecrets: map[secretTarget]struct{}{}, readFields: map[fieldTarget]struct{}{}, state: state,
	}
	if at.block != nil {
		t.stateAt = at.defRange
	}
	for ref := range read.inputs {
		if ref.Vault != nil {
			t.readFields[fieldOf(ref.Vault, ref.Path)] = struct{}{}
		} else {
			t.readSecrets[secretOf(ref.Kubernetes, ref.Namespace, ref.Name)] = struct{}{}
		}
	}
	return t
}

func secretOf(k *Kubernetes, namespace, name string) secretTarget {
	return secretTarget{k.Kubeconfig, k.Context, namespace, name}
}

func fieldOf(v *Vault, path string) fieldTarget {
	return fieldTarget{strings.TrimSuffix(v.Address, "/"), v.Namespace, path}
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

// secret claims the Secret of a sink.
func (t *targets) secret(s section, k *KubernetesSink) {
	target, st := secretOf(k.Kubernetes, k.Namespace, k.Name), &t.state
	if !take(s, "name", t.secrets, target) {
		return
	}
	if _, read := t.readSecrets[target]; read {
		s.fault("name", "Sink over an input", "This configuration reads that Secret itself.")
	}
	if st.Kind == "kubernetes_secret" && strings.HasPrefix(k.Name, st.Prefix+".") && target == secretOf(&st.Kubernetes, st.Namespace, k.Name) {
		s.fault("name", "Sink over the state", fmt.Sprintf("The names of the Secrets that hold the state begin with %q too (%s). Give the sink a name that does not.", st.Prefix+".", lineOf(t.stateAt)))
	}
}

// field claims the secret of a sink in Vault.
func (t *targets) field(s section, v *VaultSink) {
	path, st := v.Mount+"/"+v.Path, &t.state
	target := fieldOf(v.Vault, path)
	if !take(s, "path", t.fields, target) {
		return
	}
	if _, read := t.readFields[target]; read {
		s.fault("path", "Sink over an input", "This configuration reads that secret itself.")
	}
	if st.Kind == "vault_kv" && target == fieldOf(&st.Vault, path) && strings.HasPrefix(path+"/", st.Mount+"/"+st.Path+"/") {
		s.fault("path", "Sink over the state", fmt.Sprintf("The state is kept below %q (%s). Give the sink a path elsewhere.", st.Path, lineOf(t.stateAt)))
	}
}
