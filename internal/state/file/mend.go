package file

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// mend replaces a broken file before it is written again. While that fails it
// returns why, and tries again only after a pause: on a dying disk every Save
// would otherwise copy the whole database first.
func (s *Store) mend() error {
	if s.broken == nil {
		return nil
	}
	if time.Now().Before(s.retryAt) {
		return s.broken
	}
	if err := s.replace(); err != nil {
		s.broken = fmt.Errorf("%w (and %w)", err, s.broken)
		s.retryAt = time.Now().Add(s.disk.pause)
		return s.broken
	}
	s.log.Warn("state database was replaced after a failure", "path", s.dir.path(databaseName), "error", s.broken)
	s.broken = nil
	return nil
}

// abandon gives up a database whose code panicked, which may hold its locks for
// ever: it is not closed, and its mapping stays until the process ends.
func (s *Store) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db = nil
}

// distrust abandons db, which a reader could not read, unless it has been
// replaced since.
func (s *Store) distrust(db *bbolt.DB, why error) {
	if db != nil && s.db == db {
		s.abandon()
		s.broken = why
	}
}
