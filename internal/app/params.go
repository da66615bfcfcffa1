package app

import (
	"slices"
	"strings"
)

// secretParam tells whether a grant's parameter proves who logs in, rather than
// saying who. A changed proof leaves the tokens of the same user alone; a
// changed user does not. The names are those of RFC 6749, 7521, 8628 and 8693,
// and what custom grants call theirs.
func secretParam(name string) bool {
	name = strings.ToLower(name)
	if slices.Contains([]string{"code", "device_code", "passcode", "passwd"}, name) {
		return true
	}
	last := name[strings.LastIndex(name, "_")+1:]
	return slices.Contains([]string{"password", "secret", "token", "assertion", "pin", "otp"}, last)
}
