package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokend-project/tokend/internal/state"
)

// formatVersion is that of the database as a whole: its buckets and their keys.
const formatVersion = 1

var formatKey = []byte("format")

// format is the one entry of its bucket: which version wrote the database, and
// with which key its records are sealed.
type format struct {
	version byte
	key     state.KeyID
}

func (f format) encode() []byte {
	b := append([]byte{f.version}, f.key[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:8]...)
}

// parseFormat reports false for an entry that is missing or damaged.
func parseFormat(b []byte) (f format, ok bool) {
	const size = 1 + len(state.KeyID{})
	if len(b) != size+8 {
		return format{}, false
	}
	f = format{version: b[0], key: state.KeyID(b[1:size])}
	return f, bytes.Equal(f.encode(), b)
}

// admitKey compares the key with the one that the database is sealed with, so
// that a wrong one is one clear error instead of a quarantine for each record.
func (s *Store) admitKey() error {
	var err error
	guarded := guard(func() error { err = s.db.Update(s.admit); return nil })
	return errors.Join(guarded, err)
}

func (s *Store) admit(tx *bbolt.Tx) error {
	b := tx.Bucket(formatBucket)
	f, ok := parseFormat(b.Get(formatKey))
	if ok && f.version != formatVersion {
		return fmt.Errorf("%s has format %d, this tokend knows %d", s.dir.path(databaseName), f.version, formatVersion)
	}
	ours := s.codec.KeyID()
	if ok && f.key == ours {
		return nil
	}
	if mine, foreign := sealedRecords(tx, ours); mine == 0 && foreign > 0 {
		if ours == (state.KeyID{}) {
			return fmt.Errorf("%s holds %d sealed records, and no %w is given", s.dir.path(databaseName), foreign, state.ErrKey)
		}
		return fmt.Errorf("%s is sealed with another %w than the one given", s.dir.path(databaseName), state.ErrKey)
	}
	if err := b.Put(formatKey, format{formatVersion, ours}.encode()); err != nil {
		return err
	}
	return stamp(tx, tx.Bucket(recordsBucket))
}

// sealedRecords counts the records that are sealed with the key and with others.
func sealedRecords(tx *bbolt.Tx, key state.KeyID) (mine, foreign int) {
	_ = tx.Bucket(recordsBucket).ForEach(func(_, v []byte) error {
		switch id, ok := state.SealedWith(v); {
		case ok && id == key:
			mine++
		case ok:
			foreign++
		}
		return nil
	})
	return mine, foreign
}

// Quarantine keys are the name, a zero byte and the time in nanoseconds; the
// values are the reason, a zero byte and the record as it was found.

func putQuarantine(tx *bbolt.Tx, o *op, now time.Time) error {
	b := tx.Bucket(quarantineBucket)
	key := quarantineKey(o.name, now)
	for b.Get(key) != nil { // never overwritten
		now = now.Add(1)
		key = quarantineKey(o.name, now)
	}
	value := append([]byte(o.reason.Error()), 0)
	return b.Put(key, append(value, o.value...))
}

func quarantineKey(name string, at time.Time) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(name), 0), uint64(at.UnixNano()))
}

// lastQuarantine describes the latest record of name in quarantine, "" when
// there is none.
func lastQuarantine(tx *bbolt.Tx, name string) string {
	c := tx.Bucket(quarantineBucket).Cursor()
	prefix := append([]byte(name), 0)
	note := ""
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		reason, _, _ := bytes.Cut(v, []byte{0})
		note = string(reason)
	}
	return note
}
