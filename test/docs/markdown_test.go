package docs

import (
	"regexp"
	"strings"
)

// notInAnchor is what GitHub takes out of a heading to make its anchor.
var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)

// anchor is the fragment by which a heading is linked to.
func anchor(heading string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
