package hook

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"sync"

	"github.com/tokend-project/tokend/internal/token"
)

// maxOutput bounds what is shown of a command's output, in bytes: the end, where
// programs say why they failed.
const maxOutput = 4 << 10

var struck = []byte("[redacted]")

// tail keeps the end of what is written to it, with room for one secret more, so
// that no part of a secret can stand at the cut.
type tail struct {
	conceal [][]byte
	margin  int // the longest secret

	mu  sync.Mutex
	buf []byte
	cut bool // something before buf was dropped
}

func newTail(secrets []token.Secret) *tail {
	t := &tail{}
	for _, s := range secrets {
		if s.IsEmpty() {
			continue
		}
		v := s.Reveal()
		for _, form := range []string{v, url.QueryEscape(v), base64.StdEncoding.EncodeToString([]byte(v))} {
			t.conceal = append(t.conceal, []byte(form))
			t.margin = max(t.margin, len(form))
		}
	}
	return t
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	keep := maxOutput + t.margin
	if len(t.buf) > 2*keep {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-keep:]...)
		t.cut = true
	}
	return len(p), nil
}

// words renders the output for an error: nothing, or one quoted line.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.buf
	for _, secret := range t.conceal {
		out = bytes.ReplaceAll(out, secret, struck)
	}
	if t.cut { // what stands first may be the end of a secret
		out = out[min(t.margin, len(out)):]
	}
	if len(out) > maxOutput {
		out = out[len(out)-maxOutput:]
	}
	if out = bytes.TrimSpace(out); len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("; it said %q", out)
}
