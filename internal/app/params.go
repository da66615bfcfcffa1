package app

import (
	"slices"
	"strings"
	"unicode"
)

var (
	// proofs end the names of parameters that prove who logs in, joined to other
	// words or not; shortProofs do as words alone.
	proofs      = []string{"password", "passwd", "passphrase", "passcode", "secret", "token", "assertion", "credential", "credentials", "verifier"}
	shortProofs = []string{"pass", "pwd", "pin", "otp", "totp"}
	// proofCodes and proofKeys tell codes and keys that are secret from those that
	// name a country or a brand.
	proofCodes = []string{"", "access", "auth", "authorization", "device", "mfa", "otp", "security", "verification"}
	proofKeys  = []string{"access", "api", "private", "secret"}
)

// secretParam tells whether a grant's parameter proves who logs in, rather than
// saying who. A changed proof leaves the tokens of the same user alone; a
// changed user does not. The names are those of RFC 6749, 7521, 8628 and 8693,
// and what custom grants call theirs, in any way of joining words.
func secretParam(name string) bool {
	words := wordsOf(name)
	if len(words) == 0 {
		return false
	}
	last, before := words[len(words)-1], ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	switch last {
	case "code":
		return slices.Contains(proofCodes, before)
	case "key":
		return slices.Contains(proofKeys, before)
	}
	return slices.Contains(shortProofs, last) ||
		slices.ContainsFunc(proofs, func(proof string) bool { return strings.HasSuffix(last, proof) })
}

// wordsOf splits user_password, user-password, userPassword and password2 alike.
func wordsOf(name string) []string {
	runes := []rune(name)
	var spaced strings.Builder
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			spaced.WriteByte(' ')
		}
		spaced.WriteRune(unicode.ToLower(r))
	}
	return strings.FieldsFunc(spaced.String(), func(r rune) bool { return !unicode.IsLetter(r) })
}
