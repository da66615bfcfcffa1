package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// jsonDecodeFunction is jsondecode. The standard library's own reads a document
// three times, token by token, which a fleet of ten thousand tenants feels.
func jsonDecodeFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "text", Type: cty.String}},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			dec := json.NewDecoder(bytes.NewReader([]byte(args[0].AsString())))
			dec.UseNumber()
			var doc any
			if err := dec.Decode(&doc); err != nil {
				return cty.DynamicVal, fmt.Errorf("not JSON: %w", err)
			}
			if _, err := dec.Token(); !errors.Is(err, io.EOF) {
				return cty.DynamicVal, errors.New("not JSON: there is more after the document")
			}
			return jsonValue(doc)
		},
	})
}

// jsonValue has the types of HCL's own literals: objects and tuples.
func jsonValue(doc any) (cty.Value, error) {
	switch doc := doc.(type) {
	case nil:
		return cty.NullVal(cty.DynamicPseudoType), nil
	case bool:
		return cty.BoolVal(doc), nil
	case string:
		return cty.StringVal(doc), nil
	case json.Number:
		return cty.ParseNumberVal(doc.String())
	case []any:
		list := make([]cty.Value, len(doc))
		var errs error
		for i, el := range doc {
			var err error
			list[i], err = jsonValue(el)
			errs = errors.Join(errs, err)
		}
		return cty.TupleVal(list), errs
	case map[string]any:
		attrs := make(map[string]cty.Value, len(doc))
		var errs error
		for name, el := range doc {
			val, err := jsonValue(el)
			attrs[cty.NormalizeString(name)] = val
			errs = errors.Join(errs, err)
		}
		return cty.ObjectVal(attrs), errs
	}
	return cty.DynamicVal, fmt.Errorf("not JSON: %T", doc)
}
