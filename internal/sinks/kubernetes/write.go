package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/token"
)

const (
	// maxConflicts is how often a Write tries again because somebody else was
	// quicker.
	maxConflicts = 5
	// firstList is how long the first Write waits for a watch that has just
	// started, which spares it a GET.
	firstList = 2 * time.Second
)

// Write implements [sinks.Sink]. See the package's documentation for what it costs
// and what it guarantees.
func (s *Sink) Write(ctx context.Context, t token.Token) (changed bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	c, err := s.render(t)
	if err != nil {
		return false, err
	}
	s.begin()
	defer s.end()
	at, known, err := s.now(ctx)
	if err != nil {
		return false, err
	}
	for range maxConflicts {
		same := s.same(at, c)
		problem := s.judge(at, t)
		if same && known < current || problem != nil && known < certain {
			if at, err = s.reread(ctx); err != nil {
				return false, err
			}
			known = certain
			continue
		}
		if same {
			return s.settle(at, c), nil
		}
		if problem != nil {
			return false, problem
		}
		changed, err := s.put(ctx, c, at)
		if !apierrors.IsConflict(err) {
			return changed, err
		}
		if at, err = s.reread(ctx); err != nil {
			return false, err
		}
		known = certain
	}
	return false, fmt.Errorf("secret %s: somebody else changes it again and again: it changed %d times while it was to be written", s.Target(), maxConflicts)
}

// knowledge is how well the Secret is known. To be content with it takes a watch
// that would tell of a change; to refuse it, a look at it.
type knowledge int

const (
	outdated knowledge = iota // it may have changed long ago
	current                   // the watch has told nothing else yet
	certain                   // it was just read
)

// now is what is known of the Secret, without a request where that is possible.
func (s *Sink) now(ctx context.Context) (at kube.Seen, known knowledge, err error) {
	s.mu.Lock()
	own, wrote, watching, unsure := s.own, s.wrote, s.watching > 0, s.unsure
	s.mu.Unlock()
	if watching && !unsure {
		wait, cancel := context.WithTimeout(ctx, firstList)
		s.secrets.Wait(wait)
		cancel()
	}
	seen, live := s.secrets.Get(s.name)
	if live && watching {
		known = current
	}
	switch {
	case unsure:
	case seen.ResourceVersion != "" && !own.NewerThan(seen):
		return seen, known, nil
	case own.ResourceVersion == "":
	case own.ResourceVersion == wrote:
		return own, known, nil
	default:
		// What was read and not written here may lack tokend's label, and then the
		// watch tells nothing of it, its deletion included.
		return own, outdated, nil
	}
	at, err = s.reread(ctx)
	return at, certain, err
}

// reread looks at the Secret itself.
func (s *Sink) reread(ctx context.Context) (kube.Seen, error) {
	_, at, err := s.read(ctx)
	if err != nil {
		return kube.Seen{}, err
	}
	s.mu.Lock()
	s.own = at
	s.mu.Unlock()
	return at, nil
}

// same reports whether the Secret holds the content, and nothing that was taken
// out of the configuration.
func (s *Sink) same(at kube.Seen, c content) bool {
	return at.Exists() && at.Type == s.kind && at.Holds(c.fields) && at.OwnsOnly(s.names)
}

// put sends the content on condition that the Secret is as it was judged.
func (s *Sink) put(ctx context.Context, c content, at kube.Seen) (changed bool, err error) {
	version := absent
	if at.Exists() {
		version = at.ResourceVersion
	}
	uid, after, err := s.apply(ctx, c, version, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.own, s.wrote = kube.Written(uid, after, s.kind, c.marks, c.fields), after
		s.held, s.doubt, s.unsure = c.fields, nil, false
		return after != at.ResourceVersion, nil
	case undecided(err):
		s.doubt, s.unsure = c.fields, true
	}
	return false, err
}

// settle notes that the Secret holds the content already. It did not a moment ago
// when a PATCH that seemed to fail has written it.
func (s *Sink) settle(at kube.Seen, c content) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.doubt != nil && slices.Equal(s.doubt, c.fields)
	if changed {
		s.wrote = at.ResourceVersion
	}
	s.held, s.doubt, s.unsure = c.fields, nil, false
	return changed
}
