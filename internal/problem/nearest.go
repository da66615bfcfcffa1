package problem

import "github.com/agext/levenshtein"

// Nearest returns the code that a misspelt one resembles, or the empty string.
func Nearest(word string) string {
	best, least := "", 1+len(word)/3
	for _, code := range Codes() {
		if d := levenshtein.Distance(word, code, nil); d < least {
			best, least = code, d
		}
	}
	return best
}
