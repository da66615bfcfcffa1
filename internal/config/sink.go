package config

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/zclconf/go-cty/cty"
)

var (
	fileSinkSchema = schema{
		attrs:    []string{"path", "mode", "dir_mode", "owner", "group", "format", "template", "variable", "machine", "login", "on_remove"},
		required: []string{"path"},
	}
	formats   = []string{"token", "json", "header", "env", "netrc"}
	sinkKinds = []string{"file"}
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
		if s.label != "file" {
			d.fault(s.labelRange, "Unknown kind of sink", s.note(fmt.Sprintf(
				"There is no sink %s; the kinds are %s.%s", s.name(), quotedList(sinkKinds), didYouMean(s.label, sinkKinds))))
			continue
		}
		d.blocks(s.body, &fileSinkSchema)
		sections = append(sections, s)
		sinks = append(sinks, Sink{Kind: "file", File: share(d, s, decodeFileSink)})
	}
	return sections, sinks
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
	s.str("variable", &f.Variable)
	s.str("machine", &f.Machine)
	s.str("login", &f.Login)
	s.oneOf("on_remove", &f.OnRemove, []string{"keep", "delete"})
	return f
}

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
