package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const maxSecretFile = 64 << 10

// readSecret reads a file that holds one secret, without the white space around it.
// A private one must not be readable by everybody on the machine.
func readSecret(name string, private bool) (token.Secret, error) {
	// Without O_NONBLOCK, opening a FIFO would wait for somebody to write to it.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return token.Secret{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return token.Secret{}, err
	case !info.Mode().IsRegular():
		return token.Secret{}, fmt.Errorf("%s is no regular file", name)
	case private && info.Mode().Perm()&0o004 != 0:
		return token.Secret{}, fmt.Errorf("%s is readable by everybody on this machine; take that away with chmod o-r", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return token.Secret{}, err
	}
	s := strings.TrimSpace(string(text))
	switch {
	case s == "":
		return token.Secret{}, fmt.Errorf("%s is empty", name)
	case len(text) > maxSecretFile:
		return token.Secret{}, fmt.Errorf("%s is larger than %d KiB", name, maxSecretFile>>10)
	}
	return token.NewSecret(s), oneWord(name, s)
}

// oneWord refuses what is no token of any kind: two lines, an HTML page.
func oneWord(name, s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%s is not one word of ASCII", name)
	}
	return nil
}

// stamp tells one content of a file from another. The zero stamp is that of no file.
type stamp struct{ info fs.FileInfo }

func stampOf(name string) stamp {
	if name == "" {
		return stamp{}
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}
	}
	return stamp{info}
}

func (s stamp) same(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

// checkpoint lets one caller a second pass.
type checkpoint struct{ last atomic.Int64 }

func (c *checkpoint) due(now time.Time) bool {
	last := c.last.Load()
	return now.UnixNano()-last >= int64(time.Second) && c.last.CompareAndSwap(last, now.UnixNano())
}
