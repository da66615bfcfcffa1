package config

import (
	"fmt"
	"time"
)

var (
	kubernetesSchema      = schema{attrs: []string{"kubeconfig", "context", "qps", "burst"}}
	kubernetesStateSchema = schema{attrs: []string{"kubernetes", "namespace", "prefix", "key"}}
	haSchema              = schema{attrs: []string{"kubernetes", "namespace", "name", "shards", "lease_duration", "renew_every", "identity"}}
	kubernetesSinkSchema  = schema{
		attrs: append([]string{"kubernetes", "namespace", "name", "type", "data", "formats", "labels", "annotations",
			"propagation", "on_remove"}, formatArguments...),
		required: []string{"name"},
	}
)

// mountedSecretLag is how long a Secret takes to show in a pod that mounts it:
// the kubelet looks once a minute, and its cache may be older.
const mountedSecretLag = 90 * time.Second

func newKubernetes() *Kubernetes { return &Kubernetes{QPS: 50, Burst: 100} }

func (d *decoder) kubernetesBlocks(all []section) map[string]*Kubernetes {
	blocks := map[string]*Kubernetes{}
	for _, s := range d.unique("kubernetes block", all) {
		blocks[s.label] = d.kubernetesBlock(s)
	}
	return blocks
}

func (d *decoder) kubernetesBlock(s section) *Kubernetes {
	d.blocks(s.body, &kubernetesSchema)
	k := newKubernetes()
	k.Name = s.label
	s.readPath("kubeconfig", &k.Kubeconfig)
	s.str("context", &k.Context)
	s.number("qps", &k.QPS)
	s.integer("burst", &k.Burst)
	if !(k.QPS > 0) {
		s.fault("qps", "Unsuitable limit", "The qps is a number of requests per second, more than 0.")
	}
	if k.Burst < 1 {
		s.fault("burst", "Unsuitable limit", "At least one request must be allowed at a time.")
	}
	if k.Kubeconfig != "" {
		d.validateKubeconfig(s, k.Kubeconfig)
	}
	return k
}

func (d *decoder) validateKubeconfig(s section, path string) {
	in := d.input(path)
	switch {
	case in.err != nil:
		s.fault("kubeconfig", "Cannot read kubeconfig", fmt.Sprintf("%s: %v.", s.quote("kubeconfig", in.name), in.err))
	case in.mode&0o004 != 0:
		d.warn(s.at("kubeconfig"), "World-readable kubeconfig", "If it holds a credential: "+worldReadable(in))
	}
}

// clusterOf reads the reference to a kubernetes block; nil when it leads nowhere.
func (s section) clusterOf() *Kubernetes {
	name := ""
	s.str("kubernetes", &name)
	if s.has("kubernetes") && !s.isGood("kubernetes") {
		return nil
	}
	k, err := s.d.cluster(name)
	s.referenceFault("kubernetes", err)
	return k
}

func (d *decoder) kubernetesState(s section) State {
	d.blocks(s.body, &kubernetesStateSchema)
	state := State{Kind: s.label, Prefix: "tokend-state"}
	if k := s.clusterOf(); k != nil {
		state.Kubernetes = *k
	}
	s.str("namespace", &state.Namespace)
	s.str("prefix", &state.Prefix)
	d.validateNamespace(s, state.Namespace)
	if !isLabelName(state.Prefix) {
		s.fault("prefix", "Unsuitable prefix", "The names of the Secrets begin with it, and a dot: up to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends.")
	}
	return state
}

func decodeKubernetesSink(s section) *KubernetesSink {
	k := &KubernetesSink{Type: "Opaque", OnRemove: "keep", Kubernetes: s.clusterOf()}
	s.str("namespace", &k.Namespace)
	s.str("name", &k.Name)
	s.str("type", &k.Type)
	s.textMap("data", &k.Data)
	s.textMap("formats", &k.Formats)
	s.formatOptions(&k.FormatOptions)
	s.textMap("labels", &k.Labels)
	s.textMap("annotations", &k.Annotations)
	s.oneOf("on_remove", &k.OnRemove, removals)
	return k
}
