package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// mountImage makes an ext4 with a journal in a file of the chosen directory and
// has the run use it instead of that directory. The returned function takes it
// away again.
func (s *settings) mountImage(ctx context.Context) (func(), error) {
	folder, err := os.MkdirTemp(s.dir, "tokend-bench-ext4-*")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the ext4 image: %w", err)
	}
	image, place := filepath.Join(folder, "image"), filepath.Join(folder, "mnt")
	err = errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, int64(s.ext4MiB)<<20), os.Mkdir(place, 0o700))
	for _, argv := range [][]string{
		{"mkfs.ext4", "-q", "-F", image},
		{"mount", "-o", "loop", image, place},
	} {
		if err != nil {
			break
		}
		err = command(ctx, argv...)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the ext4 image: %w", err), os.RemoveAll(folder))
	}
	s.dir = place
	return func() {
		// Also after ctrl-c, and never removing what is still mounted.
		if err := command(context.WithoutCancel(ctx), "umount", place); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return
		}
		_ = os.RemoveAll(folder)
	}, nil
}

func command(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, out)
	}
	return nil
}
