package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/tokend-project/tokend/internal/token"
)

var dynamicSchema = schema{
	attrs:    []string{"for_each", "iterator", "labels"},
	required: []string{"for_each"},
	blocks:   []blockType{{name: "content"}},
}

// dynamic is a dynamic block before its elements are made.
type dynamic struct {
	typ      blockType
	iterator string
	label    hclsyntax.Expression // nil where the type has none
	content  *hclsyntax.Block
	defRange hcl.Range
}

// expand appends one block to found for every element of a dynamic block.
func (d *decoder) expand(b body, sch *schema, syn *hclsyntax.Block, found blockList) blockList {
	dyn, ok := d.dynamic(b, sch, syn)
	if !ok {
		return found
	}
	forEach := syn.Body.Attributes["for_each"]
	all, ok := d.evaluate(b, forEach.Expr, false)
	if !ok {
		return found
	}
	elements, marks := all.Unmark()
	if !elements.IsWhollyKnown() && !elements.IsNull() {
		d.warnUnread(forEach.Expr.Range(), "for_each")
		return found
	}
	if elements.IsNull() || !elements.CanIterateElements() {
		d.fault(forEach.Expr.Range(), "Unsuitable for_each", "The for_each of a dynamic block must be a list, a set, a map or an object.")
		return found
	}
	found = slices.Grow(found, elements.LengthInt())
	for it := elements.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if elements.Type().IsSetType() {
			key = value.WithMarks(marks) // a set's keys are its values, which may be secret
		}
		if blk, ok := d.element(b, dyn, key, value.WithMarks(marks)); ok {
			found = append(found, blk)
		}
	}
	return found
}

func (d *decoder) dynamic(b body, sch *schema, syn *hclsyntax.Block) (dynamic, bool) {
	if len(syn.Labels) != 1 {
		d.fault(syn.DefRange(), "Unsuitable dynamic block", "A dynamic block has one label, the type of the blocks it makes: dynamic \"token\" { … }.")
		return dynamic{}, false
	}
	typ, ok := sch.block(syn.Labels[0])
	if !ok {
		d.unknownBlock(sch, syn.Labels[0], syn.LabelRanges[0])
		return dynamic{}, false
	}
	inner := b
	inner.syn = syn.Body
	d.checkAttributes(inner, &dynamicSchema)
	dyn := dynamic{typ: typ, iterator: typ.name, defRange: syn.DefRange()}
	for _, blk := range syn.Body.Blocks {
		switch {
		case blk.Type != "content":
			d.unknownBlock(&dynamicSchema, blk.Type, blk.TypeRange)
		case dyn.content != nil:
			d.fault(blk.TypeRange, "Second content block", "A dynamic block has one content block.")
		default:
			dyn.content = blk
		}
	}
	if dyn.content == nil {
		d.fault(syn.DefRange(), "Missing content block", "A dynamic block has a block content { … }, which says what stands in each block it makes.")
		return dyn, false
	}
	return dyn, d.iterator(syn, &dyn) && d.labels(syn, &dyn) && syn.Body.Attributes["for_each"] != nil
}

func (d *decoder) iterator(syn *hclsyntax.Block, dyn *dynamic) bool {
	attr := syn.Body.Attributes["iterator"]
	if attr == nil {
		return true
	}
	name := hcl.ExprAsKeyword(attr.Expr)
	if name == "" {
		d.fault(attr.Expr.Range(), "Unsuitable iterator", "An iterator is one plain name, such as iterator = tenant.")
		return false
	}
	dyn.iterator = name
	return true
}

func (d *decoder) labels(syn *hclsyntax.Block, dyn *dynamic) bool {
	attr := syn.Body.Attributes["labels"]
	if attr == nil {
		if dyn.typ.label != "" && !dyn.typ.optional {
			d.fault(syn.DefRange(), "Missing labels", fmt.Sprintf("Blocks of type %q have a label: labels = [%s.key].", dyn.typ.name, dyn.iterator))
			return false
		}
		return true
	}
	list, diags := hcl.ExprList(attr.Expr)
	if diags.HasErrors() || len(list) > 1 || (len(list) == 1) && dyn.typ.label == "" || len(list) == 0 && dyn.typ.label != "" && !dyn.typ.optional {
		want := "no label"
		if dyn.typ.label != "" {
			want = fmt.Sprintf("one label: labels = [%s.key]", dyn.iterator)
		}
		d.fault(attr.Expr.Range(), "Unsuitable labels", fmt.Sprintf("Blocks of type %q have %s.", dyn.typ.name, want))
		return false
	}
	if len(list) == 1 {
		dyn.label, _ = list[0].(hclsyntax.Expression)
	}
	return true
}

func (d *decoder) element(b body, dyn dynamic, key, value cty.Value) (*block, bool) {
	ctx := b.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{
		dyn.iterator: cty.ObjectVal(map[string]cty.Value{"key": key, "value": value}),
	}
	blk := &block{body: b, typ: dyn.typ.name, defRange: dyn.defRange}
	blk.syn, blk.ctx, blk.labelRange = dyn.content.Body, ctx, dyn.content.TypeRange
	if blk.iterator == "" && token.ValidName(keyText(key)) {
		blk.iterator, blk.key = dyn.iterator, key
	}
	if dyn.label == nil {
		return blk, true
	}
	val, ok := d.evaluate(blk.body, dyn.label, false)
	if !ok {
		return blk, false
	}
	blk.hidden = val.IsMarked() || value.IsMarked() // a key of a marked map is unmarked, and from the input too
	val, _ = val.Unmark()
	val, err := convert.Convert(val, cty.String)
	if err == nil && !val.IsKnown() {
		d.warnUnread(dyn.label.Range(), "label")
		return blk, false
	}
	if err != nil || val.IsNull() {
		d.fault(dyn.label.Range(), "Unsuitable label", blk.note("The label of a block must be a text."))
		return blk, false
	}
	blk.label, blk.labelRange = val.AsString(), dyn.label.Range()
	return blk, true
}

// keyText is the key of an element as a text; empty when it is none, or not to
// be shown.
func keyText(key cty.Value) string {
	if key.IsMarked() {
		return ""
	}
	text, err := convert.Convert(key, cty.String)
	if err != nil || text.IsNull() || !text.IsKnown() {
		return ""
	}
	return text.AsString()
}

// note adds to a message which element of a fleet it is about.
func (b body) note(detail string) string {
	if b.iterator == "" {
		return detail
	}
	return fmt.Sprintf("%s (Here %s.key is %q.)", detail, b.iterator, keyText(b.key))
}
