package vault

import "strings"

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

func (q *requests) recordPath(name string) string {
	return q.path + "/" + recordsFolder + segment(name)
}

func (q *requests) partPath(name, part string) string {
	return q.path + "/" + partsFolder + segment(name) + "/" + part
}

func (q *requests) quarantinePath(name, digest string) string {
	return q.path + "/" + quarantineFolder + segment(name) + "/" + digest
}
