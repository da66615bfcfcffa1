package sinks

import "strings"

// shellQuote quotes s for a POSIX shell, where nothing is special between single
// quotes but the single quote itself.
func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// printable reports whether s is one word of visible ASCII, which RFC 6750's
// b64token always is.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isNetrcWord reports whether every reader of netrc files takes s as one word:
// the readers disagree on quotes and backslashes, and on "#" as a comment.
func isNetrcWord(s string) bool {
	return printable(s) && !strings.ContainsAny(s, `"'\`) && s[0] != '#'
}

func isVariable(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
