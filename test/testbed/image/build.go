package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Image is what a Dockerfile's last stage is made of.
type Image struct {
	Root        string // directory that holds its files
	UID, GID    uint32
	Entrypoint  []string
	Cmd         []string
	Healthcheck []string // a command in the container; exit code 0 is healthy
}

// Options say what a build has instead of the builder's own.
type Options struct {
	Source string // directory of the sources and the Dockerfile
	Work   string // empty directory for what the build makes
	Bundle string // file with certificate authorities; empty: the machine's
}

// machineBundle is where Debian, and so the builder, has its authorities.
const machineBundle = "/etc/ssl/certs/ca-certificates.crt"

// Build runs the RUN instructions of the Dockerfile's first stage with the
// machine's shell and toolchain, its absolute paths below Work, and puts the last
// stage together. Where this process is not root, files keep its owner.
func Build(ctx context.Context, o Options) (*Image, error) {
	instructions, err := ReadDockerfile(filepath.Join(o.Source, "Dockerfile"))
	if err != nil {
		return nil, err
	}
	b := &builder{Options: o, image: &Image{Root: filepath.Join(o.Work, "image")}}
	if b.Bundle == "" {
		b.Bundle = machineBundle
	}
	if err := os.Mkdir(b.image.Root, 0o755); err != nil { //nolint:gosec // as / is
		return nil, fmt.Errorf("make the image's root: %w", err)
	}
	last := instructions[len(instructions)-1].Stage
	for _, i := range instructions {
		step := b.build
		if i.Stage == last {
			step = b.assemble
		}
		if err := step(ctx, i); err != nil {
			return nil, fmt.Errorf("%s %s: %w", i.Name, i.Args, err)
		}
	}
	return b.image, nil
}

type builder struct {
	Options
	image *Image
	env   []string
}

// build is one step of the stage that compiles.
func (b *builder) build(ctx context.Context, i Instruction) error {
	switch i.Name {
	case "FROM", "WORKDIR", "COPY": // the sources are where they are
		return nil
	case "ENV":
		b.env = append(b.env, strings.Fields(i.Args)...)
		return nil
	case "RUN":
		cmd := exec.CommandContext(ctx, "/bin/sh", "-euc", b.localise(i.Args))
		cmd.Dir = b.Source
		cmd.Env = append(os.Environ(), b.env...)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, output)
		}
		return nil
	}
	return errUnknown
}

var errUnknown = errors.New("no instruction that the tests know")

// localise puts the absolute paths of a command below Work.
func (b *builder) localise(command string) string {
	words := strings.Split(command, " ")
	for n, word := range words {
		switch {
		case word == machineBundle:
			words[n] = b.Bundle
		case strings.HasPrefix(word, "/"):
			words[n] = b.Work + word
		}
	}
	return strings.Join(words, " ")
}

// assemble is one step of the stage that is the image.
func (b *builder) assemble(_ context.Context, i Instruction) (err error) {
	switch i.Name {
	case "FROM":
		if i.Stage != "scratch" {
			return errors.New("the image is to hold nothing but what is copied in")
		}
	case "ARG", "LABEL":
	case "COPY":
		flags, paths := i.flags()
		if flags["from"] == "" || len(paths) != 2 {
			return errUnknown
		}
		return copyTree(b.image.Root+paths[1], b.Work+paths[0], flags["chown"])
	case "USER":
		b.image.UID, b.image.GID, err = owner(i.Args)
	case "HEALTHCHECK":
		b.image.Healthcheck, err = i.exec()
	case "ENTRYPOINT":
		b.image.Entrypoint, err = i.exec()
	case "CMD":
		b.image.Cmd, err = i.exec()
	default:
		return errUnknown
	}
	return err
}

// owner reads a numeric user and group; a name would need /etc/passwd.
func owner(text string) (uid, gid uint32, err error) {
	user, group, _ := strings.Cut(text, ":")
	u, uerr := strconv.ParseUint(user, 10, 32)
	g, gerr := strconv.ParseUint(group, 10, 32)
	return uint32(u), uint32(g), errors.Join(uerr, gerr)
}

// copyTree is COPY: what is below from comes to be below to.
func copyTree(to, from, chown string) error {
	var uid, gid uint32
	if chown != "" {
		var err error
		if uid, gid, err = owner(chown); err != nil {
			return err
		}
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == from || path == filepath.Clean(from) {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if err := copyEntry(target, path, entry); err != nil {
			return err
		}
		if os.Geteuid() != 0 {
			return nil
		}
		return os.Chown(target, int(uid), int(gid))
	})
}

func copyEntry(target, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if entry.IsDir() {
		err := os.Mkdir(target, info.Mode().Perm())
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	source, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	file, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}
