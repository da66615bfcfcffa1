package vault

import (
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
)

// errCredential marks a login that is refused for what it says, so that it is
// repeated slowly where that locks an account.
var errCredential = errors.New("the credential is refused")

// word maps what the server says to what this package says. A server's own words
// are never shown, because they may quote what was sent. Some come with other
// statuses in other releases, so the status is not looked at.
type word struct {
	theirs string // a part of it
	ours   string
	kind   error
}

// Of the KV engine.
var wordsOfKV = []word{
	{"check-and-set parameter did not match the current version", "the stored version is another one than expected; nothing was written", ErrCAS},
	{"check-and-set parameter required", "the mount or the path demands check-and-set (cas_required), and the write came without", ErrInvalid},
	{"from non-versioned", "the mount is being upgraded to version 2; it answers again in a moment", ErrThrottled},
	{"too large", "the entry is larger than the server's storage takes (1 MiB with most); nothing was written", ErrInvalid},
}

// Of the auth methods and of response wrapping.
var wordsOfLogin = []word{
	{"wrapping token is not valid", "the wrapping token was used already, has expired, or never was one", ErrWrapping},
	{"invalid secret id", "the secret id is wrong, expired or used up; issue a new one", errCredential},
	{"invalid role or secret", "the role id or the secret id is wrong, expired or used up", errCredential},
	{"invalid role", "the role doesn't exist", errCredential},
	{"could not be found", "the role doesn't exist", errCredential},
	{"not authorized", "the role is not bound to this ServiceAccount or namespace", errCredential},
	{"expired", "the JWT has expired; what writes its file has to bring a new one", errCredential},
	{"not yet valid", "the JWT is not valid yet; compare the clocks", errCredential},
	{"error validating token", "the JWT is not accepted: check its signer, issuer, audience and expiry against the role", errCredential},
	{"claim", "the JWT's claims don't match the role", errCredential},
	{"client certificate must be supplied", "the cert method needs a client certificate, and something between it and tokend may have taken it away", errCredential},
	{"certificate", "the certificate is not accepted for this role", errCredential},
}

// recognise finds the server's words in the tables; nil when they are in none.
func recognise(r request, refused *api.ResponseError) *Error {
	if refused.RawError || refused.StatusCode == 503 {
		return nil
	}
	words := wordsOfKV
	if strings.HasPrefix(r.path, "auth/") || strings.HasPrefix(r.path, "sys/wrapping/") {
		words = wordsOfLogin
	}
	for _, w := range words {
		if slices.ContainsFunc(refused.Errors, func(s string) bool { return strings.Contains(s, w.theirs) }) {
			return &Error{says: w.ours, kinds: []error{w.kind}}
		}
	}
	return nil
}
