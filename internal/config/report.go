package config

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// Report is what a [Load] has to say. It holds no secret: what could be one in
// the snippets is masked already.
type Report struct {
	// Diagnostics are the faults and warnings in the order of the files and
	// lines they are about.
	Diagnostics []Diagnostic

	// Watch lists the files and directories, sorted and absolute, whose change
	// means that it is time to load again. It is filled as far as it is known
	// when the load has failed, so that the mend is noticed.
	Watch []string

	// Remote lists what of Kubernetes and Vault was asked for, in order, also
	// where that failed. Their change means the same.
	Remote []RemoteSecret

	// Sources lists the config files that were read, in the order of reading.
	Sources []string

	diags hcl.Diagnostics
	files map[string]*hcl.File
}

// Diagnostic is one fault or warning.
type Diagnostic struct {
	Warning bool // the configuration can be used nevertheless
	Summary string
	Detail  string
	File    string // as it was named to Load; empty when it is about no file
	Line    int    // from 1
	Column  int    // from 1, in characters
}

func (d Diagnostic) String() string {
	if d.File == "" {
		return fmt.Sprintf("%s: %s", d.Summary, d.Detail)
	}
	return fmt.Sprintf("%s:%d,%d: %s: %s", d.File, d.Line, d.Column, d.Summary, d.Detail)
}

// Error is a configuration that cannot be used.
type Error struct{ Report *Report }

// Error tells the first fault and how many there are.
func (e *Error) Error() string {
	var first *Diagnostic
	count := 0
	for i := range e.Report.Diagnostics {
		if diag := &e.Report.Diagnostics[i]; !diag.Warning {
			first = cmp.Or(first, diag)
			count++
		}
	}
	if count == 1 {
		return "load config: " + first.String()
	}
	return fmt.Sprintf("load config: %d faults, the first: %s", count, first)
}

// Err returns an [*Error] when there is any fault, else nil.
func (r *Report) Err() error {
	for _, diag := range r.Diagnostics {
		if !diag.Warning {
			return &Error{Report: r}
		}
	}
	return nil
}

// Warnings counts the diagnostics that are none but warnings.
func (r *Report) Warnings() int {
	count := 0
	for _, diag := range r.Diagnostics {
		if diag.Warning {
			count++
		}
	}
	return count
}

// Write writes all diagnostics for a person to read: where, the line itself,
// and what to do. A width of 0 or less wraps nothing; color adds terminal
// escapes. It fails only when w does.
func (r *Report) Write(w io.Writer, color bool, width int) error {
	var buf bytes.Buffer
	out := hcl.NewDiagnosticTextWriter(&buf, r.files, uint(max(width, 0)), color)
	if err := out.WriteDiagnostics(r.diags); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	if _, err := w.Write(showMasks(buf.Bytes())); err != nil {
		return fmt.Errorf("write diagnostics: %w", err)
	}
	return nil
}

// report closes the books of a load.
func (d *decoder) report() *Report {
	r := &Report{Watch: d.watched(), Remote: d.remote.list(), Sources: d.sources, diags: tidy(d.diags)}
	for _, diag := range r.diags {
		flat := Diagnostic{Warning: diag.Severity == hcl.DiagWarning, Summary: diag.Summary, Detail: diag.Detail}
		if at := diag.Subject; at != nil {
			flat.File, flat.Line, flat.Column = at.Filename, at.Start.Line, at.Start.Column
		}
		r.Diagnostics = append(r.Diagnostics, flat)
	}
	if len(r.diags) > 0 { // else nothing of the sources is needed any more
		r.files = make(map[string]*hcl.File, len(d.files))
		for name, file := range d.files {
			r.files[name] = &hcl.File{Bytes: mask(file.Bytes, name), Nav: file.Nav}
		}
	}
	return r
}

// mostAlike is how many diagnostics of one kind at one place are shown: a fleet
// can have the same fault ten thousand times.
const mostAlike = 5

// tidy sorts diagnostics by place, drops repeated ones, and cuts the many that
// one place of a fleet can cause.
func tidy(diags hcl.Diagnostics) hcl.Diagnostics {
	slices.SortStableFunc(diags, compareDiagnostics)
	var out hcl.Diagnostics
	alike := 0
	for i, diag := range diags {
		if i > 0 && compareDiagnostics(diags[i-1], diag) == 0 {
			continue
		}
		if len(out) > 0 && comparePlaces(out[len(out)-1], diag) == 0 && out[len(out)-1].Summary == diag.Summary {
			alike++
		} else {
			alike = 0
		}
		if alike < mostAlike {
			out = append(out, diag)
		} else if alike == mostAlike {
			more := *diag
			more.Detail = "There are more of the same at this place."
			out = append(out, &more)
		}
	}
	return out
}

func compareDiagnostics(a, b *hcl.Diagnostic) int {
	return cmp.Or(comparePlaces(a, b), cmp.Compare(a.Summary, b.Summary), cmp.Compare(a.Detail, b.Detail))
}

func comparePlaces(a, b *hcl.Diagnostic) int {
	var at, bt hcl.Range
	if a.Subject != nil {
		at = *a.Subject
	}
	if b.Subject != nil {
		bt = *b.Subject
	}
	return cmp.Or(cmp.Compare(at.Filename, bt.Filename), cmp.Compare(at.Start.Byte, bt.Start.Byte), cmp.Compare(at.End.Byte, bt.End.Byte), cmp.Compare(a.Severity, b.Severity))
}

// lineOf shows where something stands.
func lineOf(at hcl.Range) string { return fmt.Sprintf("%s:%d", at.Filename, at.Start.Line) }
