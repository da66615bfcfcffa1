package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleanPath takes one slash off each end, and refuses what would lead elsewhere: the
// library joins paths, so that ".." would leave the mount.
func cleanPath(p string) (string, error) {
	trimmed := strings.TrimSuffix(strings.TrimPrefix(p, "/"), "/")
	switch {
	case trimmed == "":
		return "", errors.New("the path is empty")
	case !utf8.ValidString(trimmed):
		return "", errors.New("the path is no UTF-8")
	case strings.ContainsFunc(trimmed, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "", errors.New("the path holds a control character")
	}
	if slices.ContainsFunc(strings.Split(trimmed, "/"), func(segment string) bool {
		return segment == "" || segment == "." || segment == ".." || strings.TrimSpace(segment) != segment
	}) {
		return "", fmt.Errorf("the path %q has a segment that is empty, \".\", \"..\" or begins or ends with white space", trimmed)
	}
	return trimmed, nil
}

// number reads a whole number of an answer.
func number(v any) (int, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, errors.New("it is no number")
	}
	i, err := n.Int64()
	if err != nil || i < 0 || i > math.MaxInt32 {
		return 0, errors.New("it is no whole number of a sensible size")
	}
	return int(i), nil
}
