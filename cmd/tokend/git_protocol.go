package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// gitCredential is what git knows about a credential, by attribute
// (git-credential(1), INPUT/OUTPUT FORMAT). Attributes with several values are
// left out: none of them concerns tokend.
type gitCredential map[string]string

// maxGitCredential bounds what git says, in bytes.
const maxGitCredential = 1 << 20

// readGitCredential reads lines of "key=value" up to an empty one or the end.
func readGitCredential(r io.Reader) (gitCredential, error) {
	c := gitCredential{}
	lines := bufio.NewScanner(io.LimitReader(r, maxGitCredential))
	lines.Buffer(nil, maxGitCredential)
	for lines.Scan() && lines.Text() != "" {
		key, value, ok := strings.Cut(lines.Text(), "=")
		if !ok {
			return nil, errors.New("read what git wants: a line has no equals sign")
		}
		if !strings.HasSuffix(key, "[]") {
			c[key] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what git wants: %w", err)
	}
	return c, nil
}
