package file

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

// TestFullDisk fills a file system of one MiB.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	dir := filepath.Join(mount, "state")
	s := mustOpen(t, Options{Dir: dir, Key: testKey})
	mustSave(t, s, "kept", 1)
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	large := generationOf(1)
	large.AccessToken = token.NewSecret(string(make([]byte, 200<<10)))
	for range 3 {
		if err := s.Save(t.Context(), "large", large); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Save on a full disk: %v", err)
		}
		wantGeneration(t, s, "kept", 1)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), "large", large); err != nil {
		t.Fatalf("Save with room again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir, Key: testKey})
	wantGeneration(t, s, "kept", 1)
	wantGeneration(t, s, "large", 1)
}
