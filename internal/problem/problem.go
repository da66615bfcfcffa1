package problem

import (
	"errors"
	"slices"

	"github.com/tokend-project/tokend/internal/token"
)

// Entry explains one code.
type Entry struct {
	Code   string   `json:"code"`           // lower case, as it stands in status and log
	Also   []string `json:"also,omitempty"` // other codes that mean the same
	Title  string   `json:"title"`          // what has happened, in one short sentence without a full stop
	Cause  string   `json:"cause"`          // why that happens
	Remedy string   `json:"remedy"`         // what a person can do, or that nothing is to be done
}

// Group is a part of the table.
type Group struct {
	Title   string
	Entries []Entry
}

// Groups returns the whole table in the order in which it is read.
func Groups() []Group {
	return []Group{
		{"The token request did not get through", requests},
		{"The server refused", refusals},
		{"The server's answer cannot be used", answers},
		{"A token as a whole", tokens},
		{"Sinks, hooks and probes", places},
		{"The daemon", daemon},
		{"What a command was told", commands},
	}
}

// Codes returns every code, other spellings included, sorted.
func Codes() []string {
	var all []string
	for _, g := range Groups() {
		for _, e := range g.Entries {
			all = append(append(all, e.Code), e.Also...)
		}
	}
	slices.Sort(all)
	return all
}

// Find returns the entry of a code.
func Find(code string) (Entry, bool) {
	if code == "" {
		return Entry{}, false
	}
	for _, g := range Groups() {
		for _, e := range g.Entries {
			if e.Code == code || slices.Contains(e.Also, code) {
				return e, true
			}
		}
	}
	return Entry{}, false
}

// Code returns the code that explains p: its own where that is known, else that
// of its class, else otherwise. Servers have error codes of their own; those
// stand in the message, and the class says what they mean here.
func Code(p *token.Problem, otherwise string) string {
	for _, code := range []string{p.Code, p.Class} {
		if e, ok := Find(code); ok {
			return e.Code
		}
	}
	return otherwise
}

// OfEvent returns the code that explains an event of the refresher which is more
// than news: kind is the event's, sinkKind that of the sink that it concerns, if it
// does. It returns the empty string where nothing explains it.
func OfEvent(kind, sinkKind string, err error) string {
	p := token.Problem{Code: kind}
	if f, ok := errors.AsType[*token.Failure](err); ok && kind == "attempt_failed" {
		p.Class, p.Code = f.Class.String(), f.Reason
		if _, known := Find(f.Code); known {
			p.Code = f.Code
		}
	}
	if kind == "sink_failed" {
		return sinkCode(sinkKind)
	}
	return Code(&p, "")
}

// Annotate gives every problem of the statuses a code that Find knows. It writes to
// the slice alone and replaces what that points to, since others may read it.
func Annotate(all []token.Status) {
	for i := range all {
		s := &all[i]
		s.LastError = named(s.LastError, "attempt_failed")
		s.Sinks = namedSinks(s.Sinks)
		if h := s.Hook; h != nil && h.LastError != nil {
			own := *h
			own.LastError = named(h.LastError, "hook_failed")
			s.Hook = &own
		}
		if p := s.Probe; p != nil && p.LastError != nil {
			own := *p
			own.LastError = named(p.LastError, "probe_failed")
			s.Probe = &own
		}
	}
}

func namedSinks(sinks []token.SinkStatus) []token.SinkStatus {
	failed := func(s token.SinkStatus) bool { return s.LastError != nil }
	if !slices.ContainsFunc(sinks, failed) {
		return sinks
	}
	sinks = slices.Clone(sinks)
	for i := range sinks {
		sinks[i].LastError = named(sinks[i].LastError, sinkCode(sinks[i].Kind))
	}
	return sinks
}

func named(p *token.Problem, otherwise string) *token.Problem {
	if p == nil {
		return nil
	}
	code := Code(p, otherwise)
	if code == p.Code {
		return p
	}
	own := *p
	own.Code = code
	return &own
}

// sinkCode is the code of a failure that is known by the kind of its sink alone.
func sinkCode(kind string) string {
	if e, ok := Find("sink_" + kind); ok {
		return e.Code
	}
	return "sink_failed"
}
