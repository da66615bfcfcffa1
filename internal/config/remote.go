package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/tokend-project/tokend/internal/token"
)

// Remote reads secrets out of Vault and Kubernetes for the functions of the same
// names. Its errors say in one line what is wrong and what a person can do, and
// hold nothing of what was read; those of a server that cannot be asked at all
// wrap [ErrUnavailable], which saves asking it for the rest. An error where there
// is no such field, or an empty one, is its own to make.
//
// A Load asks for each field once, and one after the other. It may ask for
// several fields of one path: whoever wants to read that once keeps it.
type Remote interface {
	// Vault reads a field at path, which begins with the mount and has no
	// slashes around it.
	Vault(ctx context.Context, block *Vault, path, field string) (string, error)
	// KubernetesSecret reads one key of a Secret; namespace and name are valid
	// ones. A block without a name stands for the usual rules.
	KubernetesSecret(ctx context.Context, block *Kubernetes, namespace, name, key string) (string, error)
}

// ErrUnavailable is wrapped by errors of a [Remote] that do not hang on what was
// asked for: the server does not answer, or refuses to log tokend in.
var ErrUnavailable = errors.New("the server cannot be asked")

// RemoteSecret is a secret that a configuration was made with.
type RemoteSecret struct {
	RemoteRef

	// Read is what it was, unchanged; empty when it could not be had. The
	// functions take one newline off the end, as file does.
	Read token.Secret
}

// RemoteRef names a secret in Vault or Kubernetes.
type RemoteRef struct {
	Vault *Vault // where it is; nil when it is a Secret of Kubernetes
	Path  string // in Vault, with the mount

	Kubernetes      *Kubernetes // where it is; nil when it is in Vault
	Namespace, Name string      // of the Secret

	Field string // the field in Vault, or the key of the Secret
}

// String names the secret.
func (r RemoteRef) String() string {
	if r.Vault != nil {
		return fmt.Sprintf("field %q of %s in Vault", r.Field, r.Path)
	}
	return fmt.Sprintf("key %q of Secret %s/%s", r.Field, r.Namespace, r.Name)
}

// oddPart is a part of a path that an error may show in another spelling.
var oddPart = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// hide takes the names of r out of an error, for where they came from an input
// that may be a secret.
func (r RemoteRef) hide(err error) error {
	parts := append(strings.Split(r.Path, "/"), r.Namespace, r.Name, r.Field)
	if slices.ContainsFunc(parts, oddPart.MatchString) {
		return errors.New("it could not be read")
	}
	text := err.Error()
	for _, part := range parts {
		if part != "" {
			text = regexp.MustCompile(`(?i)(\b|_)`+regexp.QuoteMeta(part)+`(\b|_)`).ReplaceAllString(text, "…")
			if len(part) > 3 {
				text = strings.ReplaceAll(text, part, "…")
			}
		}
	}
	return errors.New(text)
}

// remotes is what one load has read from Kubernetes and Vault.
type remotes struct {
	ask    func(RemoteRef) (string, error) // nil when nothing is to be read
	ready  bool                            // it is known how to reach them
	inputs map[RemoteRef]*input
	values map[RemoteRef]token.Secret
	down   map[any]struct{} // blocks that nothing can be read by
}

func newRemotes(ctx context.Context, remote Remote) *remotes {
	r := &remotes{inputs: map[RemoteRef]*input{}, values: map[RemoteRef]token.Secret{}, down: map[any]struct{}{}}
	if remote == nil {
		return r
	}
	r.ask = func(ref RemoteRef) (string, error) {
		if ref.Vault != nil {
			return remote.Vault(ctx, ref.Vault, ref.Path, ref.Field)
		}
		return remote.KubernetesSecret(ctx, ref.Kubernetes, ref.Namespace, ref.Name, ref.Field)
	}
	return r
}

// read returns what ref names, which it asks for once.
func (r *remotes) read(ref RemoteRef) *input {
	if known := r.inputs[ref]; known != nil {
		return known
	}
	in := &input{name: ref.String()}
	r.inputs[ref] = in
	if r.ask == nil {
		in.absent = true
		return in
	}
	var block any = ref.Kubernetes
	if ref.Vault != nil {
		block = ref.Vault
	}
	if _, down := r.down[block]; down {
		in.err = errors.New("it was not asked for, since nothing else of the same server could be read either")
		return in
	}
	var text string
	text, in.err = r.ask(ref)
	switch {
	case in.err == nil:
		r.values[ref] = token.NewSecret(text)
		in.text = withoutNewline(text)
	case errors.Is(in.err, ErrUnavailable):
		r.down[block] = struct{}{}
	}
	return in
}

// list are the secrets that were asked for, in order.
func (r *remotes) list() []RemoteSecret {
	var all []RemoteSecret
	for _, ref := range slices.SortedFunc(maps.Keys(r.inputs), compareRefs) {
		all = append(all, RemoteSecret{ref, r.values[ref]})
	}
	return all
}

func compareRefs(a, b RemoteRef) int {
	return cmp.Or(cmp.Compare(a.block(), b.block()), cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Field, b.Field))
}

// block sorts Kubernetes before Vault.
func (r RemoteRef) block() string {
	if r.Vault != nil {
		return "v" + r.Vault.Name
	}
	return "k" + r.Kubernetes.Name
}

// remoteFunction is a function of two texts and, where there are several blocks,
// the name of one.
func (d *decoder) remoteFunction(usage string, ref func(place, field, block string) (RemoteRef, error)) function.Function {
	return textFunction([]string{"path", "field"}, func(args []string) (*input, error) {
		if len(args) > 3 {
			return nil, fmt.Errorf("write %s", usage)
		}
		if !d.remote.ready {
			return nil, errors.New("a kubernetes or vault block says how to read from there, so it can use file, env and credential alone")
		}
		block := ""
		if len(args) == 3 {
			block = args[2]
		}
		at, err := ref(args[0], args[1], block)
		if bad, ok := errors.AsType[*blockError](err); ok {
			return nil, &inputError{what: fmt.Sprintf("cannot read %q", args[0]), cause: bad, hidden: errors.New("which block is meant cannot be told")}
		}
		if err != nil {
			return nil, &inputError{what: fmt.Sprintf("cannot read %q", args[0]), cause: err}
		}
		in := d.remote.read(at)
		if in.err != nil {
			return nil, &inputError{what: "cannot read " + in.name, cause: in.err, hidden: at.hide(in.err)}
		}
		return in, nil
	})
}

func (d *decoder) vaultFunction() function.Function {
	const usage = `vault("mount/path", "field"), and the name of a vault block where there are several`
	return d.remoteFunction(usage, func(place, field, block string) (RemoteRef, error) {
		v, err := d.vault(block)
		switch {
		case err != nil:
			return RemoteRef{}, err
		case !validVaultPath(place) || !strings.Contains(place, "/"):
			return RemoteRef{}, errors.New("the first argument is a mount and a path below it, such as \"secret/apps/rator\", without empty parts")
		case field == "":
			return RemoteRef{}, errors.New("the second argument names a field")
		}
		return RemoteRef{Vault: v, Path: place, Field: field}, nil
	})
}

func (d *decoder) kubernetesSecretFunction() function.Function {
	const usage = `kubernetes_secret("namespace/name", "key"), and the name of a kubernetes block where there are several`
	return d.remoteFunction(usage, func(place, field, block string) (RemoteRef, error) {
		k, err := d.cluster(block)
		if err != nil {
			return RemoteRef{}, err
		}
		namespace, name, _ := strings.Cut(place, "/")
		switch {
		case !isLabelName(namespace) || !isSubdomain(name):
			return RemoteRef{}, errors.New("the first argument is a namespace and the name of a Secret, such as \"shop/rator\"")
		case !isDataKey(field):
			return RemoteRef{}, errors.New("the second argument names a key, of letters, digits, dots, underscores and hyphens")
		}
		return RemoteRef{Kubernetes: k, Namespace: namespace, Name: name, Field: field}, nil
	})
}

// blockError is a reference to a block that leads nowhere.
type blockError struct{ summary, detail string }

// Error is the detail as a part of a sentence.
func (e *blockError) Error() string {
	return strings.ToLower(e.detail[:1]) + strings.TrimSuffix(e.detail[1:], ".")
}

// refer finds the block of a type that is meant: the named one, or without a name
// the only one.
func refer[T any](typ string, all map[string]T, name string) (T, error) {
	var zero T
	known := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return name == "" })
	if name != "" {
		if found, ok := all[name]; ok {
			return found, nil
		}
		detail := fmt.Sprintf("There is no %s block of that name: %.80q.%s", typ, name, didYouMean(name, known))
		return zero, &blockError{"Unknown " + typ + " block", detail}
	}
	switch len(known) {
	case 0: // which is a fault of Vault's alone
		return zero, &blockError{"Missing " + typ + " block", "There is no vault block, which says where Vault is and how to log in: vault \"main\" { address = \"https://…\", auth \"…\" { … } }."}
	case 1:
		return all[known[0]], nil
	}
	return zero, &blockError{"Missing name of a " + typ + " block", fmt.Sprintf("There are several %s blocks. Say which one: %s.", typ, quotedList(known))}
}

func (d *decoder) vault(name string) (*Vault, error) { return refer("vault", d.vaults, name) }

// cluster finds a kubernetes block. Where there is none, the usual rules do.
func (d *decoder) cluster(name string) (*Kubernetes, error) {
	if len(d.kubernetes) == 0 && name == "" {
		d.kubernetes = map[string]*Kubernetes{"": newKubernetes()}
	}
	if usual := d.kubernetes[""]; usual != nil && name == "" {
		return usual, nil
	}
	return refer("kubernetes", d.kubernetes, name)
}

// warnUnread says what could not be judged for want of a value.
func (d *decoder) warnUnread(at hcl.Range, what string) {
	d.warn(at, "Blocks that were not checked", fmt.Sprintf("The %s comes from Kubernetes or Vault, where nothing was read this time. What stands in these blocks was not checked.", what))
}
