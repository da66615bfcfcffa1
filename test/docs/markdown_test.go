package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// block is a fenced block of a markdown file.
type block struct {
	language string
	place    string // the second word of the fence: where the lines of a configuration stand
	line     int    // of its fence
	indent   string // of a block in a list
	lines    []string
}

func (b block) text() string { return strings.Join(b.lines, "\n") + "\n" }

// fences returns the fenced blocks of a markdown file.
func fences(t *testing.T, path string) []block {
	t.Helper()
	var all []block
	var open *block
	for i, line := range strings.Split(read(t, path), "\n") {
		if open != nil {
			line = strings.TrimPrefix(line, open.indent)
		}
		fence, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		switch {
		case isFence && open == nil:
			language, place, _ := strings.Cut(fence, " ")
			open = &block{language: language, place: place, line: i + 1, indent: line[:len(line)-len(fence)-3]}
		case isFence:
			all = append(all, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	if open != nil {
		t.Fatalf("%s: the block of line %d has no end", path, open.line)
	}
	return all
}

// blocks returns the fenced blocks of one language, of which there are some.
func blocks(t *testing.T, path, language string) []block {
	t.Helper()
	all := slices.DeleteFunc(fences(t, path), func(b block) bool { return b.language != language })
	if len(all) == 0 {
		t.Fatalf("%s: no block of %s", path, language)
	}
	return all
}

// prose is a markdown file without its fenced blocks.
func prose(t *testing.T, path string) string {
	t.Helper()
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(read(t, path), "")
}

// pages are the markdown files of docs.
func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(all) < 10 {
		t.Fatalf("%d pages: %v", len(all), err)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// notInAnchor is what is taken out of a heading to make its anchor.
var notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)

// anchor is the fragment by which a heading is linked to.
func anchor(heading string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// anchors are those of all headings of a page; one that is there already gets a
// number.
func anchors(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose(t, path), -1) {
		base := anchor(m[1])
		name := base
		for n := 1; slices.Contains(all, name); n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		all = append(all, name)
	}
	return all
}
