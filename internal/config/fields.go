package config

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/tokend-project/tokend/internal/token"
)

// section is a body whose arguments are being read. Every reader leaves its
// destination alone when the argument is absent or null, or when it is at fault
// and the fault was noted.
type section struct {
	*block // nil when there is no such block
	d      *decoder
}

// at is where an argument stands, or its block when it is absent.
func (s section) at(name string) hcl.Range {
	if attr := s.syn.Attributes[name]; attr != nil {
		return attr.Expr.Range()
	}
	return s.defRange
}

func (s section) has(name string) bool { return s.block != nil && s.syn.Attributes[name] != nil }

// isEmpty reports whether a secret was written and is empty, and no fault has
// been told of it yet.
func (s section) isEmpty(name string, secret token.Secret) bool {
	return secret.IsEmpty() && s.isGood(name)
}

// isGood reports whether an argument was written and had no fault so far.
func (s section) isGood(name string) bool {
	_, failed := s.d.failed[s.at(name)]
	return s.has(name) && !failed
}

// demand refuses an argument that was written, but as null. That it was written
// is for the schema to demand.
func (s section) demand(name string, isSet bool) {
	if !isSet && s.isGood(name) {
		s.fault(name, "Missing required argument", fmt.Sprintf("The argument %q is required, and cannot be null or empty.", name))
	}
}

// fault notes a fault of one argument.
func (s section) fault(name, summary, detail string) {
	s.d.failed[s.at(name)] = struct{}{}
	s.d.fault(s.at(name), summary, s.note(detail))
}

// quote shows a value that was given for an argument.
func (s section) quote(name, given string) string { return s.d.quote(s.at(name), given) }

// quote shows the value of an expression, unless it came from an input: it may
// then be a secret in the wrong place.
func (d *decoder) quote(at hcl.Range, given string) string {
	if _, marked := d.marked[at]; marked {
		return "(a value not shown)"
	}
	return fmt.Sprintf("%.200q", given)
}

func (s section) value(name string, secret bool) (cty.Value, bool) {
	attr := s.syn.Attributes[name]
	if attr == nil {
		return cty.NilVal, false
	}
	val, ok := s.d.evaluate(s.body, attr.Expr, secret)
	if !ok {
		return cty.NilVal, false
	}
	if plain, _ := val.Unmark(); plain.IsNull() {
		return cty.NilVal, false
	}
	if val.ContainsMarked() {
		s.d.marked[attr.Expr.Range()] = struct{}{}
	}
	if !val.IsWhollyKnown() {
		s.d.unknown[attr.Expr.Range()] = struct{}{}
		return val, secret
	}
	return val, true
}

// standIn is a text in the place of what was not read from Kubernetes or Vault.
const standIn = "not-read"

func (s section) str(name string, dst *string) {
	val, ok := s.value(name, false)
	if !ok {
		if val != cty.NilVal { // not known
			*dst = standIn
		}
		return
	}
	val, _ = val.Unmark()
	val, err := convert.Convert(val, cty.String)
	if err != nil {
		s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a text in quotes.", name))
		return
	}
	*dst = val.AsString()
}

func (s section) boolean(name string, dst *bool) {
	val, ok := s.value(name, false)
	if !ok {
		return
	}
	val, _ = val.Unmark()
	if val.Type() != cty.Bool {
		s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be true or false, without quotes.", name))
		return
	}
	*dst = val.True()
}

func (s section) number(name string, dst *float64) {
	val, ok := s.value(name, false)
	if !ok {
		return
	}
	val, _ = val.Unmark()
	if val.Type() != cty.Number {
		s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a number, without quotes.", name))
		return
	}
	*dst, _ = val.AsBigFloat().Float64()
}

func (s section) integer(name string, dst *int) {
	val, ok := s.value(name, false)
	if !ok {
		return
	}
	val, _ = val.Unmark()
	if val.Type() == cty.Number {
		if n, acc := val.AsBigFloat().Int64(); acc == big.Exact {
			*dst = int(n)
			return
		}
	}
	s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a whole number, without quotes.", name))
}

func (s section) duration(name string, dst *time.Duration) {
	val, ok := s.value(name, false)
	if !ok {
		return
	}
	val, _ = val.Unmark()
	if val.Type() != cty.String {
		s.fault(name, "Unsuitable duration", fmt.Sprintf("%q must be a text with a unit, such as \"30s\", \"5m\" or \"1h30m\".", name))
		return
	}
	dur, err := time.ParseDuration(val.AsString())
	switch {
	case err != nil:
		s.fault(name, "Unsuitable duration", fmt.Sprintf("%q must be a number with a unit (ms, s, m, h), such as \"30s\", \"5m\" or \"1h30m\".", name))
	case dur < 0:
		s.fault(name, "Negative duration", fmt.Sprintf("%q must not be negative.", name))
	default:
		*dst = dur
	}
}

// texts reads a list of texts.
func (s section) texts(name string, dst *[]string) {
	val, ok := s.value(name, false)
	if !ok {
		return
	}
	val, _ = val.UnmarkDeep()
	ty := val.Type()
	if !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a list of texts: [\"…\", \"…\"].", name))
		return
	}
	list := make([]string, 0, val.LengthInt())
	for it := val.ElementIterator(); it.Next(); {
		_, el := it.Element()
		if el.IsNull() || el.Type() != cty.String {
			s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a list of texts: [\"…\", \"…\"].", name))
			return
		}
		list = append(list, el.AsString())
	}
	*dst = list
}

func (s section) secret(name string, dst *token.Secret) bool {
	val, ok := s.value(name, true)
	if !ok {
		return false
	}
	secret, ok := s.secretFrom(name, name, val)
	if ok {
		*dst = secret
	}
	return ok
}

// secretFrom takes a value into a secret field, and has the inputs it came from
// answer for how they are kept. what names the field for messages.
func (s section) secretFrom(name, what string, val cty.Value) (token.Secret, bool) {
	val, marks := val.Unmark()
	s.d.judgeInputs(s, name, marks)
	if !val.IsKnown() {
		return token.NewSecret(standIn), true
	}
	val, err := convert.Convert(val, cty.String)
	if err != nil || val.IsNull() {
		if what != name {
			what = s.quote(name, what)
		}
		s.fault(name, "Unsuitable value", fmt.Sprintf("The value of %s must be a text.", what))
		return token.Secret{}, false
	}
	return token.NewSecret(val.AsString()), true
}

// secrets reads a map of texts onto dst, which it replaces by a merged copy. A
// null takes its key away.
func (s section) secrets(name string, dst *map[string]token.Secret, key func(string) string) {
	val, ok := s.value(name, true)
	if !ok {
		return
	}
	val, marks := val.Unmark()
	if !val.IsKnown() {
		return
	}
	if !val.Type().IsObjectType() && !val.Type().IsMapType() {
		s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a map: { name = \"value\" }.", name))
		return
	}
	merged := make(map[string]token.Secret, len(*dst)+val.LengthInt())
	maps.Copy(merged, *dst)
	for it := val.ElementIterator(); it.Next(); {
		k, el := it.Element()
		k, _ = k.Unmark()
		if plain, _ := el.Unmark(); plain.IsNull() {
			delete(merged, key(k.AsString()))
			continue
		}
		if secret, ok := s.secretFrom(name, k.AsString(), el.WithMarks(marks)); ok {
			merged[key(k.AsString())] = secret
		}
	}
	*dst = merged
}

// textMap reads a map of texts. An element that is null is left out, and so is
// one that is not known. What is constant is read once, for all of a fleet.
func (s section) textMap(name string, dst *map[string]string) {
	if !s.has(name) {
		return
	}
	expr := s.syn.Attributes[name].Expr
	texts, known := s.d.texts[expr]
	if !known {
		s.readTexts(name, &texts)
		if len(expr.Variables()) == 0 {
			s.d.texts[expr] = texts
		}
	}
	if texts != nil {
		*dst = texts
	}
}

func (s section) readTexts(name string, dst *map[string]string) {
	val, ok := s.value(name, true)
	if !ok {
		return
	}
	val, _ = val.UnmarkDeep()
	if !val.IsKnown() {
		return
	}
	if !val.Type().IsObjectType() && !val.Type().IsMapType() {
		s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be a map: { name = \"value\" }.", name))
		return
	}
	texts := make(map[string]string, val.LengthInt())
	for it := val.ElementIterator(); it.Next(); {
		k, el := it.Element()
		if !el.IsKnown() {
			continue
		}
		if el.IsNull() {
			continue
		}
		el, err := convert.Convert(el, cty.String)
		if err != nil {
			s.fault(name, "Unsuitable value", fmt.Sprintf("The value of %s must be a text.", s.quote(name, k.AsString())))
			continue
		}
		texts[k.AsString()] = el.AsString()
	}
	*dst = texts
}

// referenceFault notes that an argument, or its want, leads to no block.
func (s section) referenceFault(name string, err error) {
	if bad, ok := errors.AsType[*blockError](err); ok {
		detail := bad.detail
		if _, marked := s.d.marked[s.at(name)]; marked {
			detail = "There is no block of that name: " + s.quote(name, "") + "."
		}
		s.fault(name, bad.summary, detail)
	}
}

// headerKey makes header names comparable: they are case-insensitive (RFC 9110
// section 5.1).
func headerKey(name string) string { return http.CanonicalHeaderKey(name) }

func sameKey(name string) string { return name }
