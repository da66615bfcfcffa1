package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

const (
	stateLabel      = "tokend/state"
	partLabel       = "tokend/state-part"
	partOfLabel     = "tokend/state-part-of" // see partOf
	quarantineLabel = "tokend/state-quarantine"

	tokenAnnotation       = "tokend/token"
	writeAnnotation       = "tokend/write"
	quarantinedAnnotation = "tokend/quarantined" // the name of the Secret in quarantine
	reasonAnnotation      = "tokend/quarantine-reason"

	recordType     = "tokend/state-record"
	partType       = "tokend/state-part"
	quarantineType = "tokend/state-quarantine"

	recordKey = "record"
	partsKey  = "parts" // the names of the pieces, one a line
	partKey   = "part"
)

var (
	labelPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	escapes      = strings.NewReplacer("-", "-h", ".", "-d", "_", "-u")
)

const maxPrefix = 63 // it is also a label's value

func validPrefix(s string) bool { return len(s) <= maxPrefix && labelPattern.MatchString(s) }

// secretName maps valid token names to valid names of Secrets (RFC 1123
// subdomains), no two to the same one: a name that is a DNS label has no dot,
// and an escaped one begins with "x.".
func secretName(prefix, name string) string {
	if labelPattern.MatchString(name) {
		return prefix + "." + name
	}
	return prefix + ".x." + escapes.Replace(name)
}

// partOf is the value of the label that finds the pieces of one record: a name
// may end with what no label value may.
func partOf(prefix, name string) string {
	sum := sha256.Sum256([]byte(secretName(prefix, name)))
	return hex.EncodeToString(sum[:16])
}
