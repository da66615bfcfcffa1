package vault

import (
	"errors"
	"strings"
)

// errName is for what [token.ValidName] refuses.
var errName = errors.New("not a valid name")

const (
	recordsFolder    = "records/"
	partsFolder      = "parts/"
	quarantineFolder = "quarantine/"
)

// segment maps valid token names to segments of a path, no two to the same one.
// Vault takes two dots in a row for the way up, and names have no capitals.
func segment(name string) string {
	if !strings.Contains(name, "..") {
		return name
	}
	return strings.ReplaceAll(name, ".", "D")
}

func (s *Store) recordPath(name string) string { return s.path + "/" + recordsFolder + segment(name) }

func (s *Store) partPath(name, part string) string {
	return s.path + "/" + partsFolder + segment(name) + "/" + part
}

func (s *Store) quarantinePath(name, digest string) string {
	return s.path + "/" + quarantineFolder + segment(name) + "/" + digest
}
