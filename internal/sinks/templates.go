package sinks

import "sync"

// Templates makes formats of templates, as [NewTemplate] does, each text once: the
// sinks of a fleet share theirs. It is safe for concurrent use.
type Templates struct {
	mu    sync.Mutex
	known map[string]attempt
}

// attempt is what came of a text.
type attempt struct {
	format Format
	err    error
}

// Format returns the format of a template's text.
func (t *Templates) Format(text string) (Format, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.known[text]
	if !ok {
		a.format, a.err = NewTemplate(text)
		if t.known == nil {
			t.known = map[string]attempt{}
		}
		t.known[text] = a
	}
	return a.format, a.err
}

// Check reports what is wrong with a template's text.
func (t *Templates) Check(text string) error {
	_, err := t.Format(text)
	return err
}

// Forget lets go of what was made so far.
func (t *Templates) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = nil
}
