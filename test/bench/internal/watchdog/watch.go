package watchdog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

// FileName is the name under which a token's file is watched.
func FileName(token int) string { return "client-" + strconv.Itoa(token) }

// Watch fills a [Book] from a directory until it is closed.
type Watch struct {
	dir    string
	book   *Book
	events *os.File // the inotify descriptor
	done   chan error
}

// Start watches dir, which must exist, and first notes what is there already.
// Files whose name is not a token's, temporary ones above all, are ignored.
func Start(dir string, book *Book) (*Watch, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("starting inotify: %w", err)
	}
	const mask = syscall.IN_MOVED_TO | syscall.IN_CLOSE_WRITE | syscall.IN_DELETE | syscall.IN_MOVED_FROM
	if _, err := syscall.InotifyAddWatch(fd, dir, mask); err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("watching %s: %w", dir, err)
	}
	w := &Watch{dir: dir, book: book, events: os.NewFile(uintptr(fd), "inotify"), done: make(chan error, 1)}
	if err := w.Scan(); err != nil {
		_ = w.events.Close()
		return nil, err
	}
	go func() { w.done <- w.follow() }()
	return w, nil
}

// Close stops watching and returns what went wrong while it did.
func (w *Watch) Close() error {
	if err := w.events.Close(); err != nil {
		return fmt.Errorf("stopping inotify: %w", err)
	}
	return <-w.done
}

// Scan reads every token file in the directory now. It is safe to call while the
// directory is being watched.
func (w *Watch) Scan() error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return fmt.Errorf("scanning the sinks: %w", err)
	}
	for _, e := range entries {
		w.look(e.Name())
	}
	return nil
}

// look notes what the file of that name holds now.
func (w *Watch) look(name string) {
	token := tokenserver.ClientNumber(name)
	if token < 0 || name != FileName(int(token)) {
		return
	}
	content, err := os.ReadFile(filepath.Join(w.dir, name))
	p := Placement{At: time.Now().UnixNano()}
	if got, ok := tokenserver.ParseAccessToken(string(content)); err == nil && ok && got.Token == token {
		p.Serial, p.Expires = got.Serial, got.Expires
	}
	w.book.Add(token, p)
}

func (w *Watch) follow() error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := w.events.Read(buffer)
		if err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("reading inotify events: %w", err)
		}
		if err := w.handle(buffer[:n]); err != nil {
			return err
		}
	}
}

// handle takes apart what one read of the descriptor brought (inotify(7)).
func (w *Watch) handle(b []byte) error {
	for len(b) >= syscall.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		length := int(binary.NativeEndian.Uint32(b[12:]))
		name := strings.TrimRight(string(b[syscall.SizeofInotifyEvent:syscall.SizeofInotifyEvent+length]), "\x00")
		b = b[syscall.SizeofInotifyEvent+length:]
		if mask&syscall.IN_Q_OVERFLOW != 0 {
			if err := w.Scan(); err != nil {
				return err
			}
			continue
		}
		w.look(name)
	}
	return nil
}
