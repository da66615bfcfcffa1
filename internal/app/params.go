package app

import "strings"

// secretParam tells whether a grant's parameter proves who logs in, rather than
// saying who. A changed proof leaves the tokens of the same user alone; a
// changed user does not.
func secretParam(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"password", "passwd", "secret", "token", "assertion", "pin", "otp", "code", "key"} {
		if strings.Contains(name, part) && name != "brand_key" && name != "brandkey" {
			return true
		}
	}
	return false
}
