package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tokend-project/tokend/internal/config"
)

var update = flag.Bool("update", false, "write what is generated in docs/config-reference.md anew")

const reference = root + "/docs/config-reference.md"

// TestConfigReferenceIsCurrent compares the generated parts of the reference with
// the schemas. With -update it writes them.
func TestConfigReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for part, text := range map[string]string{"contents": referenceContents(), "blocks": referenceBlocks(), "functions": referenceFunctions()} {
		begin, end := "<!-- generated: "+part+" -->\n", "<!-- end of what is generated -->"
		head, rest, opened := strings.Cut(page, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !opened || !closed {
			t.Fatalf("%s has no place for %s", reference, part)
		}
		page = head + begin + "\n" + text + "\n" + end + tail
	}
	if page == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the schemas say; write it anew with go test ./test/docs -run %s -update", reference, t.Name())
	}
	if err := os.WriteFile(reference, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
}

func referenceContents() string {
	var b strings.Builder
	for _, block := range config.Reference() {
		fmt.Fprintf(&b, "%s- [%s](#%s)\n", strings.Repeat("  ", strings.Count(block.Path, ".")), block.Path, anchor(block.Path))
	}
	return b.String()
}

func referenceBlocks() string {
	var b strings.Builder
	for _, block := range config.Reference() {
		fmt.Fprintf(&b, "### %s\n\n`%s`, %s.\n\n%s\n\n", block.Path, block.Head, block.Often, wrapped(block.Meaning))
		b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
		for _, k := range block.Keys {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, typeOf(k), defaultOf(k), k.Meaning)
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func typeOf(k config.KeyDoc) string {
	if k.Words == nil {
		return k.Type
	}
	return "`\"" + strings.Join(k.Words, "\"`, `\"") + "\"`"
}

func defaultOf(k config.KeyDoc) string {
	switch {
	case k.Required:
		return "**required**"
	case k.IsLiteral():
		return "`" + k.Default + "`"
	}
	return k.Default
}

func referenceFunctions() string {
	return wrapped("`"+strings.Join(config.FunctionNames(), "`, `")+"`") + "\n"
}

// wrapped breaks a paragraph into lines, at spaces that are not within code.
func wrapped(text string) string {
	const width = 125
	var b strings.Builder
	column, code := 0, false
	for word := range strings.SplitSeq(text, " ") {
		size := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case !code && column+1+size > width:
			b.WriteString("\n")
			column = 0
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += size
		code = code != (strings.Count(word, "`")%2 == 1)
	}
	return b.String()
}
