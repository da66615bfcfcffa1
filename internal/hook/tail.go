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
	conceal func() []token.Secret // nil for nothing
	margin  int                   // the longest secret when the command began

	mu  sync.Mutex
	buf []byte
	cut bool // something before buf was dropped
}

func newTail(conceal func() []token.Secret) *tail {
	t := &tail{conceal: conceal}
	_, t.margin = t.forms()
	return t
}

// forms are what a secret may look like, and the length of the longest.
func (t *tail) forms() (forms [][]byte, longest int) {
	if t.conceal == nil {
		return nil, 0
	}
	for _, s := range t.conceal() {
		if s.IsEmpty() {
			continue
		}
		v := s.Reveal()
		for _, form := range []string{v, url.QueryEscape(v), base64.StdEncoding.EncodeToString([]byte(v))} {
			forms = append(forms, []byte(form))
			longest = max(longest, len(form))
		}
	}
	return forms, longest
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
	secrets, margin := t.forms()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.buf
	for _, secret := range secrets {
		out = bytes.ReplaceAll(out, secret, struck)
	}
	if t.cut { // what stands first may be the end of a secret
		out = out[min(max(t.margin, margin), len(out)):]
	}
	if len(out) > maxOutput {
		out = out[len(out)-maxOutput:]
	}
	if out = bytes.TrimSpace(out); len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("; it said %q", out)
}
