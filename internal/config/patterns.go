package config

import "regexp"

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
