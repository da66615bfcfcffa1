package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/tokend-project/tokend/internal/token"
)

// schema says what may stand in a body. Blocks are by type; the value names the
// label, or is empty where there is none.
type schema struct {
	attrs    []string
	required []string
	blocks   []blockType
	open     bool // any attribute may stand here
}

type blockType struct {
	name, label string
	optional    bool // the label may be left out
}

func (s *schema) block(name string) (blockType, bool) {
	for _, b := range s.blocks {
		if b.name == name {
			return b, true
		}
	}
	return blockType{}, false
}

// body is a piece of syntax and the scope its expressions see.
type body struct {
	syn *hclsyntax.Body
	ctx *hcl.EvalContext

	dir string // of the file, for relative paths

	iterator string    // of the fleet this is an element of, for messages; else empty
	key      cty.Value // of that element
}

// block is one block of a body, after dynamic blocks were expanded.
type block struct {
	body
	typ        string
	label      string
	hidden     bool // the label came from an input, and is shown only where it is a good name
	labelRange hcl.Range
	defRange   hcl.Range
}

// blockList are the blocks of a body, in their order.
type blockList []*block

// of returns the blocks of one type.
func (l blockList) of(typ string) blockList {
	var found blockList
	for _, blk := range l {
		if blk.typ == typ {
			found = append(found, blk)
		}
	}
	return found
}

// blocks checks b against sch, once for each piece of syntax, and returns its
// blocks in order with dynamic ones expanded.
func (d *decoder) blocks(b body, sch *schema) blockList {
	if _, done := d.checked[b.syn]; !done {
		d.checked[b.syn] = struct{}{}
		d.checkAttributes(b, sch)
	}
	if len(b.syn.Blocks) == 0 {
		return nil
	}
	found := make(blockList, 0, len(b.syn.Blocks))
	for _, syn := range b.syn.Blocks {
		if syn.Type == "dynamic" {
			found = d.expand(b, sch, syn, found)
			continue
		}
		typ, ok := sch.block(syn.Type)
		if !ok {
			d.unknownBlock(sch, syn.Type, syn.TypeRange)
			continue
		}
		blk := &block{body: b, typ: typ.name, defRange: syn.DefRange()}
		blk.syn = syn.Body
		if d.takeLabel(typ, syn, blk) {
			found = append(found, blk)
		}
	}
	return found
}

func (d *decoder) takeLabel(typ blockType, syn *hclsyntax.Block, blk *block) bool {
	switch {
	case len(syn.Labels) == 0 && (typ.label == "" || typ.optional):
		return true
	case len(syn.Labels) == 0:
		d.fault(syn.OpenBraceRange, fmt.Sprintf("Missing %s for %s", typ.label, typ.name),
			fmt.Sprintf("A %s block has a label: %s \"%s\" { … }.", typ.name, typ.name, strings.ToUpper(typ.label)))
		return false
	case typ.label == "":
		d.fault(syn.LabelRanges[0], "Extraneous label for "+typ.name,
			fmt.Sprintf("A %s block has no label: %s { … }.", typ.name, typ.name))
		return false
	case len(syn.Labels) > 1:
		d.fault(syn.LabelRanges[1], "Extraneous label for "+typ.name,
			fmt.Sprintf("A %s block has one label, its %s.", typ.name, typ.label))
		return false
	}
	blk.label, blk.labelRange = syn.Labels[0], syn.LabelRanges[0]
	return true
}

func (d *decoder) checkAttributes(b body, sch *schema) {
	for name, attr := range b.syn.Attributes {
		if sch.open || slices.Contains(sch.attrs, name) {
			continue
		}
		hint := didYouMean(name, sch.attrs)
		if _, isBlock := sch.block(name); isBlock {
			hint = fmt.Sprintf(" Did you mean to define a block, %s { … }?", name)
		}
		d.fault(attr.NameRange, "Unsupported argument", fmt.Sprintf("An argument named %q is not expected here.%s", name, hint))
	}
	for _, name := range sch.required {
		if b.syn.Attributes[name] == nil {
			d.fault(b.syn.MissingItemRange(), "Missing required argument", fmt.Sprintf("The argument %q is required, but it is not set.", name))
		}
	}
}

func (d *decoder) unknownBlock(sch *schema, name string, at hcl.Range) {
	names := make([]string, len(sch.blocks))
	for i, b := range sch.blocks {
		names[i] = b.name
	}
	hint := didYouMean(name, names)
	if slices.Contains(sch.attrs, name) {
		hint = fmt.Sprintf(" Did you mean to set the argument %q? If so, use the equals sign.", name)
	}
	d.fault(at, "Unsupported block type", fmt.Sprintf("Blocks of type %q are not expected here.%s", name, hint))
}

// didYouMean returns a sentence that names what given was probably meant to be,
// with a space before it, or nothing.
func didYouMean(given string, known []string) string {
	best, bestDistance := "", 3
	for _, k := range known {
		if dist := levenshtein.Distance(given, k, nil); dist < bestDistance {
			best, bestDistance = k, dist
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// name shows the label.
func (b *block) name() string {
	if b.hidden && !token.ValidName(b.label) {
		return "(a value not shown)"
	}
	return fmt.Sprintf("%.80q", b.label)
}
