package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// maxInput bounds a file that file or credential reads, and a config file.
const maxInput = 64 << 20

// input is something outside the configuration that an expression has read. A
// pointer to it is the cty mark of every value that came from it.
type input struct {
	name string      // the path of a file, or the name of a variable
	mode fs.FileMode // of a file
	text string
	err  error

	absent bool // it was not to be read
}

// input reads a file once, and has it watched.
func (d *decoder) input(path string) *input {
	if known := d.inputs[path]; known != nil {
		return known
	}
	d.watchFile(path)
	in := &input{name: path}
	var data []byte
	data, in.mode, in.err = d.opts.ReadFile(path)
	in.text = withoutNewline(string(data))
	d.inputs[path] = in
	return in
}

// withoutNewline takes off what editors and shells put at the end.
func withoutNewline(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// judgeInputs refuses secrets that everybody on the machine can read, and empty
// ones.
func (d *decoder) judgeInputs(s section, name string, marks cty.ValueMarks) {
	for mark := range marks {
		in, ok := mark.(*input)
		if !ok {
			continue
		}
		if in.mode&0o004 != 0 && d.once("world-readable "+in.name) {
			s.fault(name, "World-readable secret file", worldReadable(in))
		}
	}
}

// readFile reads a regular file for [Options].ReadFile.
func readFile(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, plainCause(err)
	}
	if err := readable(info); err != nil {
		return nil, 0, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, plainCause(err)
	}
	return data, info.Mode(), nil
}

func readable(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Size() > maxInput:
		return fmt.Errorf("it is larger than %d MiB", maxInput>>20)
	}
	return nil
}

// plainCause takes the path out of an error whose message names it already.
func plainCause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// watchFile has a change of path noticed, also where it is a symlink.
func (d *decoder) watchFile(path string) {
	d.watch[path] = struct{}{}
	d.watch[d.realPath(path)] = struct{}{}
}

// realPath resolves the symlinks of a path, as far as it exists.
func (d *decoder) realPath(path string) string {
	if known, ok := d.real[path]; ok {
		return known
	}
	resolved := path
	if parent := filepath.Dir(path); parent != path {
		resolved = filepath.Join(d.realPath(parent), filepath.Base(path))
		if info, err := os.Lstat(resolved); err == nil && info.Mode()&os.ModeSymlink != 0 {
			if target, err := filepath.EvalSymlinks(resolved); err == nil {
				resolved = target
			}
		}
	}
	d.real[path] = resolved
	return resolved
}

func (d *decoder) watched() []string {
	paths := make([]string, 0, len(d.watch))
	for path := range d.watch {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

func worldReadable(in *input) string {
	return fmt.Sprintf("%s has mode %04o: everybody on this machine can read it. Take that away: chmod o-rwx %s (for a Kubernetes Secret volume, set defaultMode: 0440).", in.name, in.mode.Perm(), in.name)
}
