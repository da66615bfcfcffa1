package config

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"time"

	"github.com/zclconf/go-cty/cty"
)

var (
	formatArguments = []string{"variable", "machine", "login", "registry", "username", "user"}
	fileSinkSchema  = schema{
		attrs:    append([]string{"path", "mode", "dir_mode", "owner", "group", "format", "template", "propagation", "on_remove"}, formatArguments...),
		required: []string{"path"},
	}
	formats   = []string{"token", "json", "header", "env", "netrc", "dockerconfigjson", "kubeconfig", "exec-credential"}
	sinkKinds = []string{"file", "kubernetes_secret", "vault_kv"}
	removals  = []string{"keep", "delete"}
)

// octal is how a file mode is written: HCL would read 0640 as the number 640.
var octal = regexp.MustCompile(`^0[0-7]{3}$`)

func (d *decoder) sinks(all blockList) ([]section, []Sink) {
	if len(all) == 0 {
		return nil, nil
	}
	sections := make([]section, 0, len(all))
	sinks := make([]Sink, 0, len(all))
	for _, blk := range all {
		s := section{block: blk, d: d}
		if sink, ok := d.sink(s); ok {
			sections = append(sections, s)
			sinks = append(sinks, sink)
		}
	}
	return sections, sinks
}

func (d *decoder) sink(s section) (Sink, bool) {
	sink := Sink{Kind: s.label}
	switch s.label {
	case "file":
		d.blocks(s.body, &fileSinkSchema)
		sink.File = share(d, s, decodeFileSink)
	case "kubernetes_secret":
		d.blocks(s.body, &kubernetesSinkSchema)
		sink.Kubernetes = share(d, s, decodeKubernetesSink)
		sink.Propagation = mountedSecretLag
	case "vault_kv":
		d.blocks(s.body, &vaultSinkSchema)
		sink.Vault = share(d, s, decodeVaultSink)
	default:
		d.fault(s.labelRange, "Unknown kind of sink", s.note(fmt.Sprintf(
			"There is no sink %s; the kinds are %s.%s", s.name(), quotedList(sinkKinds), didYouMean(s.label, sinkKinds))))
		return sink, false
	}
	s.duration("propagation", &sink.Propagation)
	return sink, true
}

func decodeFileSink(s section) *FileSink {
	f := &FileSink{Mode: 0o600, DirMode: 0o700, OnRemove: "keep"}
	s.writtenPath("path", &f.Path)
	s.mode("mode", "0640", &f.Mode)
	s.mode("dir_mode", "0750", &f.DirMode)
	s.str("owner", &f.Owner)
	s.str("group", &f.Group)
	s.oneOf("format", &f.Format, formats)
	s.str("template", &f.Template)
	var o FormatOptions
	s.formatOptions(&o)
	f.setOptions(o)
	s.oneOf("on_remove", &f.OnRemove, removals)
	return f
}

func (f *FileSink) options() FormatOptions {
	return FormatOptions{f.Variable, f.Machine, f.Login, f.Registry, f.Username, f.User}
}

func (f *FileSink) setOptions(o FormatOptions) {
	f.Variable, f.Machine, f.Login, f.Registry, f.Username, f.User = o.Variable, o.Machine, o.Login, o.Registry, o.Username, o.User
}

func (s section) formatOptions(dst *FormatOptions) {
	s.str("variable", &dst.Variable)
	s.str("machine", &dst.Machine)
	s.str("login", &dst.Login)
	s.str("registry", &dst.Registry)
	s.str("username", &dst.Username)
	s.str("user", &dst.User)
}

// longestPropagation is more than any consumer takes to see a change.
const longestPropagation = 24 * time.Hour

// mode reads a file mode; example is one that would do.
func (s section) mode(name, example string, dst *fs.FileMode) {
	val, ok := s.value(name, false)
	if !ok {
		return
	}
	val, _ = val.Unmark()
	if val.Type() != cty.String {
		s.fault(name, "Decimal file mode", fmt.Sprintf("A number here is decimal, and would give other permissions than it seems to. Write the mode as a text with a leading zero: %s = %q.", name, example))
		return
	}
	given := val.AsString()
	if !octal.MatchString(given) {
		s.fault(name, "Unsuitable file mode", fmt.Sprintf("A mode is a text of four octal digits, the first a zero: %s = %q. It is %s.", name, example, s.quote(name, given)))
		return
	}
	bits, _ := strconv.ParseUint(given, 8, 32) // octal has made sure of it
	*dst = fs.FileMode(bits)
}
