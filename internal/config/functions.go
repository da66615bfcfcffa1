package config

import (
	"errors"
	"maps"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are those of one directory, from where file's relative paths start.
func (d *decoder) functions(dir string) map[string]function.Function {
	all := pureFunctions()
	maps.Copy(all, map[string]function.Function{
		"env":        d.envFunction(),
		"file":       d.fileFunction(dir),
		"credential": d.credentialFunction(),

		"vault":             d.vaultFunction(),
		"kubernetes_secret": d.kubernetesSecretFunction(),
	})
	return all
}

func pureFunctions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc,
		"can": tryfunc.CanFunc, "try": tryfunc.TryFunc, "coalesce": stdlib.CoalesceFunc,
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc, "regexall": stdlib.RegexAllFunc, "replace": stdlib.ReplaceFunc, "split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
		"chunklist": stdlib.ChunklistFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "index": stdlib.IndexFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": rangeFunction(), "reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": jsonDecodeFunction(), "jsonencode": stdlib.JSONEncodeFunc,
		"tobool": stdlib.MakeToFunc(cty.Bool), "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "tonumber": stdlib.MakeToFunc(cty.Number), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": stdlib.MakeToFunc(cty.String),
	}
}

// textFunction is a function from texts to a text that came from an input. The
// texts with a name are required.
func textFunction(names []string, impl func(args []string) (*input, error)) function.Function {
	spec := &function.Spec{
		VarParam: &function.Parameter{Name: "more", Type: cty.String},
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			texts := make([]string, len(args))
			for i, arg := range args {
				texts[i] = arg.AsString()
			}
			in, err := impl(texts)
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			if in.absent {
				return cty.UnknownVal(cty.String).Mark(in), nil
			}
			return cty.StringVal(in.text).Mark(in), nil
		},
	}
	for _, name := range names {
		spec.Params = append(spec.Params, function.Parameter{Name: name, Type: cty.String})
	}
	return function.New(spec)
}

// envFunction reads a variable of the environment; the second argument, when
// there is one, stands in for an unset one.
func (d *decoder) envFunction() function.Function {
	return textFunction([]string{"name"}, func(args []string) (*input, error) {
		if len(args) > 2 {
			return nil, errors.New("env takes a name and, at most, a default")
		}
		if value, ok := d.opts.Env(args[0]); ok {
			return &input{name: "$" + args[0], text: value}, nil
		}
		if len(args) == 2 {
			return &input{name: "$" + args[0], text: args[1]}, nil
		}
		return nil, &inputError{what: "environment variable " + args[0], cause: errors.New("it is not set; set it, or give a default as the second argument")}
	})
}

func (d *decoder) fileFunction(dir string) function.Function {
	return textFunction([]string{"path"}, func(args []string) (*input, error) {
		if len(args) > 1 {
			return nil, errors.New("file takes one path")
		}
		path := args[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		in := d.input(filepath.Clean(path))
		if in.err != nil {
			return nil, &inputError{what: "cannot read " + in.name, cause: in.err}
		}
		return in, nil
	})
}

// credentialFunction reads what systemd's LoadCredential= has put into
// $CREDENTIALS_DIRECTORY.
func (d *decoder) credentialFunction() function.Function {
	return textFunction([]string{"name"}, func(args []string) (*input, error) {
		if len(args) > 1 {
			return nil, errors.New("credential takes one name")
		}
		name := args[0]
		if name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') {
			return nil, errors.New("the name of a credential is a plain file name")
		}
		dir, ok := d.opts.Env("CREDENTIALS_DIRECTORY")
		if !ok || dir == "" {
			return nil, errors.New("there is no $CREDENTIALS_DIRECTORY: systemd sets it for a unit with LoadCredential=, and elsewhere file(\"…\") does the same")
		}
		in := d.input(filepath.Join(dir, name))
		if in.err != nil {
			return nil, &inputError{what: "cannot read credential " + name, cause: in.err}
		}
		return in, nil
	})
}
