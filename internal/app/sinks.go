package app

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/sinks/file"
	kubesink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	vaultsink "github.com/tokend-project/tokend/internal/sinks/vault"
)

// destinations is what sinks share. It outlives reloads.
type destinations struct {
	files   *file.Monitor
	clients *clients
	mayAct  func(name string) bool // nil: always
}

// sink builds the sink of the kind that the configuration names, for a token.
// This is the list of them.
func (d *destinations) sink(owner string, s config.Sink, pr *printer) (spec refresher.SinkSpec, err error) {
	switch s.Kind {
	case "file":
		spec, err = d.file(s.File, pr)
	case "kubernetes_secret":
		spec, err = d.kubernetes(owner, s.Kubernetes, pr)
	case "vault_kv":
		spec, err = d.vault(owner, s.Vault, pr)
	default:
		return refresher.SinkSpec{}, fmt.Errorf("there is no sink of kind %q", s.Kind)
	}
	spec.Kind, spec.Propagation = s.Kind, s.Propagation
	return spec, err
}

// writers bounds what is under way at once by kind. Files that are written
// together share their syncs, so more of them are better than the 16 that suit a
// disk which is asked for each one alone.
func writers() map[string]int {
	return map[string]int{"file": 64, "kubernetes_secret": 32, "vault_kv": 32, "hook": 16, "probe": 32}
}

func (d *destinations) file(f *config.FileSink, pr *printer) (refresher.SinkSpec, error) {
	format, err := d.fileFormat(f)
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "file", f.Path, err)
	}
	s, err := file.New(file.Options{Path: f.Path, Mode: f.Mode, DirMode: f.DirMode, Owner: f.Owner, Group: f.Group, Format: format, Monitor: d.files})
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "file", f.Path, err)
	}
	pr.begin("file").str(f.Path, f.Owner, f.Group, f.Format, f.Template, f.Variable, f.Machine, f.Login, f.Registry, f.Username, f.User, f.OnRemove)
	pr.num(int64(f.Mode), int64(f.DirMode))
	return refresher.SinkSpec{Target: f.Path, Sink: s, Remove: f.OnRemove == "delete", Fingerprint: pr.sum()}, nil
}

func (d *destinations) kubernetes(owner string, k *config.KubernetesSink, pr *printer) (refresher.SinkSpec, error) {
	client, err := d.clients.kubernetes(k.Kubernetes)
	if err != nil {
		return refresher.SinkSpec{}, err
	}
	data, err := d.formats(k.Data, k.Formats, k.FormatOptions)
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "kubernetes_secret", k.Name, err)
	}
	s, err := kubesink.New(kubesink.Options{Client: client, Namespace: k.Namespace, Name: k.Name, Token: owner, Type: k.Type,
		Data: data, Labels: k.Labels, Annotations: k.Annotations})
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "kubernetes_secret", k.Name, err)
	}
	return refresher.SinkSpec{Target: in(k.Kubernetes.Name, s.Target()), Sink: s, Remove: k.OnRemove == "delete", Fingerprint: kubernetesPrint(k, pr)}, nil
}

func (d *destinations) vault(owner string, v *config.VaultSink, pr *printer) (refresher.SinkSpec, error) {
	client, kv, err := d.clients.kv(v.Vault, v.Mount, v.Version)
	if err != nil {
		return refresher.SinkSpec{}, err
	}
	target := v.Mount + "/" + v.Path
	data, err := d.formats(v.Data, v.Formats, v.FormatOptions)
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "vault_kv", target, err)
	}
	metadata, err := d.formats(v.Metadata, nil, config.FormatOptions{})
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "vault_kv", target, err)
	}
	o := vaultsink.Options{KV: kv, Path: v.Path, Data: data, Metadata: metadata, MaxVersions: v.MaxVersions,
		CheckEvery: v.CheckEvery, Monitor: client.monitor}
	if d.mayAct != nil {
		o.Owns = func() bool { return d.mayAct(owner) }
	}
	s, err := vaultsink.New(o)
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "vault_kv", target, err)
	}
	return refresher.SinkSpec{Target: in(v.Vault.Name, target), Sink: s, Remove: v.OnRemove == "delete", Fingerprint: vaultPrint(v, pr)}, nil
}

func kubernetesPrint(k *config.KubernetesSink, pr *printer) refresher.Fingerprint {
	at := k.Kubernetes
	return pr.begin("kubernetes_secret").block(at, func() any { return clusterOf(at) }).str(k.Namespace, k.Name, k.Type, k.OnRemove).
		strs(k.Data).strs(k.Formats).any(k.FormatOptions).strs(k.Labels).strs(k.Annotations).sum()
}

func vaultPrint(v *config.VaultSink, pr *printer) refresher.Fingerprint {
	at := v.Vault // whose secrets say nothing when they are printed
	return pr.begin("vault_kv").block(at, func() any { return serverOf(at) }).secret(at.Auth.Token).secret(at.Auth.SecretID).
		str(v.Mount, v.Path, v.OnRemove).num(int64(v.Version), int64(v.MaxVersions)).dur(v.CheckEvery).
		strs(v.Data).strs(v.Formats).any(v.FormatOptions).strs(v.Metadata).sum()
}

// in tells places of one name apart that are in several clusters or servers.
func in(block, target string) string {
	if block == "" {
		return target
	}
	return block + ":" + target
}

// formats makes what writes each key.
func (d *destinations) formats(templates, names map[string]string, o config.FormatOptions) (map[string]sinks.Format, error) {
	out := make(map[string]sinks.Format, len(templates)+len(names))
	for _, key := range slices.Sorted(maps.Keys(templates)) {
		f, err := d.clients.templates.Format(templates[key])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		out[key] = f
	}
	for _, key := range slices.Sorted(maps.Keys(names)) {
		f, err := sinks.NewFormat(names[key], sinks.FormatOptions(o))
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		out[key] = f
	}
	return out, nil
}

// CheckTemplate reports what is wrong with a sink's template.
func CheckTemplate(text string) error {
	_, err := sinks.NewTemplate(text)
	return err
}

func (d *destinations) fileFormat(f *config.FileSink) (sinks.Format, error) {
	if f.Template != "" {
		return d.clients.templates.Format(f.Template)
	}
	return sinks.NewFormat(f.Format, sinks.FormatOptions{Variable: f.Variable, Machine: f.Machine, Login: f.Login,
		Registry: f.Registry, Username: f.Username, User: f.User})
}
