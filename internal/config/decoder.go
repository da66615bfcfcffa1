package config

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// decoder is what one Load knows while it is at work.
type decoder struct {
	opts   Options
	diags  hcl.Diagnostics
	files  map[string]*hcl.File
	watch  map[string]struct{}
	broken bool // a file has a syntax error

	sources  []string                                   // config files, in the order of reading
	inputs   map[string]*input                          // what file and credential have read, by path
	checked  map[*hclsyntax.Body]struct{}               // whose attributes are known to be allowed
	marked   map[hcl.Range]struct{}                     // expressions whose values came from inputs
	failed   map[hcl.Range]struct{}                     // expressions that a fault was told of
	constant map[*hclsyntax.Body]bool                   // whether a body sees no variable
	texts    map[hclsyntax.Expression]map[string]string // what constant maps were decoded to
	checks   map[string]error                           // what was wrong with a template, by its text
	shared   map[*hclsyntax.Body]any                    // what a constant body was decoded to
	real     map[string]string                          // paths without their symlinks
	crons    map[string]error                           // what the cron parser said
	reported map[string]struct{}                        // faults that are told once, whatever uses them
	scopes   map[string]*hcl.EvalContext                // by directory
	layers   map[string]layer                           // profiles, by name
	unknown  map[hcl.Range]struct{}                     // expressions that hang on what was not read from Kubernetes or Vault

	remote     *remotes
	kubernetes map[string]*Kubernetes // by name; under "" the one that no block is for
	vaults     map[string]*Vault      // by name
}

func newDecoder(opts Options) *decoder {
	return &decoder{
		opts:     opts.withDefaults(),
		files:    map[string]*hcl.File{},
		watch:    map[string]struct{}{},
		inputs:   map[string]*input{},
		checked:  map[*hclsyntax.Body]struct{}{},
		marked:   map[hcl.Range]struct{}{},
		failed:   map[hcl.Range]struct{}{},
		constant: map[*hclsyntax.Body]bool{},
		texts:    map[hclsyntax.Expression]map[string]string{},
		checks:   map[string]error{},
		shared:   map[*hclsyntax.Body]any{},
		real:     map[string]string{},
		crons:    map[string]error{},
		reported: map[string]struct{}{},
		scopes:   map[string]*hcl.EvalContext{},
		layers:   map[string]layer{},
		unknown:  map[hcl.Range]struct{}{},
		remote:   newRemotes(context.Background(), opts.Remote),
	}
}

// fault notes a fault, unless it is of a value that only stands in for what was
// not read.
func (d *decoder) fault(at hcl.Range, summary, detail string) {
	if _, unknown := d.unknown[at]; unknown {
		return
	}
	d.diags = append(d.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at})
}

func (d *decoder) warn(at hcl.Range, summary, detail string) {
	d.diags = append(d.diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: summary, Detail: detail, Subject: &at})
}

// once reports whether key is new, for faults that many tokens share.
func (d *decoder) once(key string) bool {
	_, known := d.reported[key]
	d.reported[key] = struct{}{}
	return !known
}

// evaluate computes an expression and keeps its faults, without any value in
// them. With secret, nothing that stands in the expression is repeated either.
func (d *decoder) evaluate(b body, expr hclsyntax.Expression, secret bool) (cty.Value, bool) {
	val, diags := expr.Value(b.ctx)
	if len(diags) == 0 {
		return val, true
	}
	d.failed[expr.Range()] = struct{}{}
	for _, diag := range diags {
		d.diags = append(d.diags, withoutValues(diag, b, expr, secret))
	}
	return val, !diags.HasErrors()
}

// withoutValues strips a diagnostic of evaluation down to what is no secret.
func withoutValues(diag *hcl.Diagnostic, b body, expr hclsyntax.Expression, secret bool) *hcl.Diagnostic {
	out := &hcl.Diagnostic{Severity: diag.Severity, Summary: diag.Summary, Detail: diag.Detail, Subject: diag.Subject, Context: diag.Context}
	switch {
	case tellsValue(diag, expr, secret):
		out.Detail = hiddenCause(diag)
	case secret && (diag.Summary == "Unknown variable" || diag.Summary == "Variables not allowed"):
		out.Detail = "There is no such variable. A text stands in quotes; the only variables are the iterators of dynamic blocks."
	case diag.Summary == "Variables not allowed":
		out.Summary = "Unknown variable"
		out.Detail = "A text stands in quotes; the only variables are the iterators of dynamic blocks."
	}
	out.Detail = b.note(out.Detail)
	return out
}

// inputError is why an input could not be had.
type inputError struct {
	what   string // the input with its name, which may have been computed from another
	cause  error
	hidden error // the cause where it must not tell the name; nil when it does not
}

func (e *inputError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.cause) }

func (e *inputError) Unwrap() error { return e.cause }

// hiddenCause says why a function failed as far as that is no secret.
func hiddenCause(diag *hcl.Diagnostic) string {
	extra, _ := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag)
	if err, ok := errors.AsType[*inputError](extra.FunctionCallError()); ok {
		cause := err.cause
		if err.hidden != nil {
			cause = err.hidden
		}
		return fmt.Sprintf("The function %q failed: %v. What it was called with is not shown, since it came from another input.", extra.CalledFunctionName(), cause)
	}
	return "The function could not take its arguments. Why is not shown, since the arguments may be secret."
}

// tellsValue reports whether the diagnostic is a function's error that may
// repeat an argument which is secret. The functions that read inputs are ours,
// and repeat only the names they were called with.
func tellsValue(diag *hcl.Diagnostic, expr hclsyntax.Expression, secret bool) bool {
	extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag)
	if !ok {
		return false
	}
	if call, ok := diag.Expression.(*hclsyntax.FunctionCallExpr); ok && isInput(call.Name) && call.Name == extra.CalledFunctionName() {
		return slices.ContainsFunc(call.Args, func(arg hclsyntax.Expression) bool {
			val, _ := arg.Value(diag.EvalContext)
			return val.ContainsMarked() || callsInput(arg)
		})
	}
	return secret || len(expr.Variables()) > 0 || callsInput(expr)
}

// inputFunctions are those that read something outside the configuration.
var inputFunctions = []string{"env", "file", "credential", "vault", "kubernetes_secret"}

func isInput(function string) bool {
	return slices.Contains(inputFunctions, function)
}

// callsInput reports whether an expression reads any input.
func callsInput(expr hclsyntax.Expression) bool {
	found := false
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		call, ok := node.(*hclsyntax.FunctionCallExpr)
		found = found || ok && isInput(call.Name)
		return nil
	})
	return found
}

// isConstant reports whether nothing in b depends on a variable, so that every
// element of a fleet decodes it to the same value.
func (d *decoder) isConstant(b *hclsyntax.Body) bool {
	if known, ok := d.constant[b]; ok {
		return known
	}
	is := true
	for _, attr := range b.Attributes {
		is = is && len(attr.Expr.Variables()) == 0
	}
	for _, blk := range b.Blocks {
		is = is && blk.Type != "dynamic" && d.isConstant(blk.Body)
	}
	d.constant[b] = is
	return is
}
