package config

import (
	"encoding/pem"
	"fmt"
	"regexp"

	"github.com/hashicorp/hcl/v2"
)

type rangeOf = hcl.Range

var (
	fieldPath  = regexp.MustCompile(`^[^.\s\x00-\x1f]+(\.[^.\s\x00-\x1f]+)*$`)
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110 section 5.6.2
	grantName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)       // RFC 6749 appendix A.10
	grantURI   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,512}$`)
	scopeToken = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`) // RFC 6749 section 3.3
	plainName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	ownerName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*\$?$`)
	netrcWord  = regexp.MustCompile(`^[!-~]+$`)
	methodName = regexp.MustCompile(`^[A-Z]+$`)
)

func plausibleGrantType(s string) bool { return grantName.MatchString(s) || grantURI.MatchString(s) }

func holdsPEM(text string) bool {
	block, _ := pem.Decode([]byte(text))
	return block != nil
}

func worldReadable(in *input) string {
	return fmt.Sprintf("%s has mode %04o: everybody on this machine can read it. Take that away: chmod o-rwx %s (for a Kubernetes Secret volume, set defaultMode: 0440).", in.name, in.mode.Perm(), in.name)
}

// lineOf shows where something stands.
func lineOf(at rangeOf) string { return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line) }
