package config

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

func (d *decoder) validateSinks(t *tokenDraft, taken *targets) {
	for i, s := range t.sinks {
		sink := &t.tok.Sinks[i]
		switch sink.Kind {
		case "file":
			d.validateFileSink(s, sink.File, taken)
		case "kubernetes_secret":
			d.validateKubernetesSink(s, sink.Kubernetes, taken)
		case "vault_kv":
			d.validateVaultSink(s, sink.Vault, taken)
		}
		if sink.Propagation > longestPropagation {
			s.fault("propagation", "Very long propagation", fmt.Sprintf("The propagation counts into how long before its expiry a token is refreshed. It is %s at most.", longestPropagation))
		}
	}
}

func (d *decoder) validateFileSink(s section, f *FileSink, taken *targets) {
	d.validateFormat(s, f)
	d.validateModes(s, f)
	s.demand("path", f.Path != "")
	if f.Path != "" {
		d.validatePath(s, f.Path, taken.files)
	}
	d.validateOwner(s, "owner", f.Owner)
	d.validateOwner(s, "group", f.Group)
}

func (d *decoder) validateOwner(s section, key, name string) {
	if name != "" && !ownerName.MatchString(name) {
		s.fault(key, "Unsuitable "+key, fmt.Sprintf("The %s is a name or a number.", key))
	}
}

func (d *decoder) validateModes(s section, f *FileSink) {
	if f.Mode&0o002 != 0 {
		s.fault("mode", "World-writable sink", "Everybody on this machine could replace the token. Take that away, as in mode = \"0640\".")
	} else if f.Mode&0o004 != 0 {
		d.warn(s.at("mode"), "World-readable sink", s.note(fmt.Sprintf("With mode %04o, everybody on this machine can read the token. A group and mode = \"0640\" give it to a few.", f.Mode)))
	}
	if f.DirMode&0o002 != 0 {
		s.fault("dir_mode", "World-writable directory", "Everybody on this machine could replace the token. Take that away, as in dir_mode = \"0750\".")
	}
	if f.DirMode&0o300 != 0o300 {
		s.fault("dir_mode", "Unusable directory", "The owner must be able to write and search the directory, as with dir_mode = \"0700\".")
	}
}

// validateFormat judges what a file holds, and fills in what hangs on the format.
func (d *decoder) validateFormat(s section, f *FileSink) {
	if s.has("template") {
		if s.has("format") {
			s.fault("format", "Format beside a template", "A sink has a format or a template. Leave one of them out.")
		}
		if err := d.templateFault(f.Template); err != nil {
			s.fault("template", "Unsuitable template", "The template cannot be parsed"+d.cause(s.at("template"), err)+".")
		}
		f.Format = ""
	} else if f.Format == "" {
		f.Format = "token"
	}
	used := []string{f.Format}
	o := f.options()
	d.validateOptions(s, used, &o)
	f.setOptions(o)
}

// validatePath refuses a path that is somebody else's; taken holds the real
// paths of the sinks so far. The last element is not resolved: a sink replaces a
// symlink there.
func (d *decoder) validatePath(s section, path string, taken map[string]hcl.Range) {
	real := filepath.Join(d.realPath(filepath.Dir(path)), filepath.Base(path))
	if first, ok := taken[real]; ok {
		s.fault("path", "Two sinks with one path", fmt.Sprintf("The sink at %s writes there already: %s. Give each sink a path of its own.", lineOf(first), s.quote("path", path)))
		return
	}
	taken[real] = s.at("path")
	for _, other := range []string{path, real} {
		if _, read := d.watch[other]; read {
			s.fault("path", "Sink over an input", fmt.Sprintf("This configuration reads that file itself: %s.", s.quote("path", path)))
			return
		}
	}
	if slices.Contains([]string{"/", "."}, path) {
		s.fault("path", "Unsuitable path", "A path names a file.")
	}
}
