package page

import (
	"reflect"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// full is a status in which every pointer leads somewhere.
func full() *token.Status {
	return &token.Status{LastError: &token.Problem{}, Sinks: []token.SinkStatus{{LastError: &token.Problem{}}},
		Hook: &token.HookStatus{LastError: &token.Problem{}}, Probe: &token.ProbeStatus{LastError: &token.Problem{}}}
}

// leaves calls f for every field that holds a value, with its path.
func leaves(v reflect.Value, path string, f func(path string, v reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		f(path, v)
	case v.Kind() == reflect.Pointer:
		leaves(v.Elem(), path, f)
	case v.Kind() == reflect.Slice:
		leaves(v.Index(0), path, f)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") == "-" {
				continue // no reader gets it
			}
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	default:
		f(path, v)
	}
}

func alter(v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Unix(1, 0)
	case *string:
		*x = "other"
	case *bool:
		*x = true
	case *int:
		*x = 1
	case *uint64:
		*x = 1
	case *token.State:
		*x = "other"
	default:
		panic(v.Type())
	}
}

// A field that is added to the status and forgotten here would not be shown until
// something else changes.
func TestEveryFieldCounts(t *testing.T) {
	t.Parallel()
	var paths []string
	leaves(reflect.ValueOf(full()), "", func(path string, _ reflect.Value) { paths = append(paths, path) })
	if len(paths) < 35 {
		t.Fatalf("only %d fields are found", len(paths))
	}
	for _, want := range paths {
		if want == ".Name" { // compared before
			continue
		}
		changed := full()
		leaves(reflect.ValueOf(changed), "", func(path string, v reflect.Value) {
			if path == want {
				alter(v)
			}
		})
		if same(full(), changed) {
			t.Errorf("a change of %s is not seen", want)
		}
	}
	for name, f := range map[string]func(s *token.Status){
		"no error": func(s *token.Status) { s.LastError = nil }, "no sink": func(s *token.Status) { s.Sinks = nil },
		"no hook": func(s *token.Status) { s.Hook = nil }, "no probe": func(s *token.Status) { s.Probe = nil },
	} {
		changed := full()
		f(changed)
		if same(full(), changed) || same(changed, full()) {
			t.Errorf("%s is not seen", name)
		}
	}
	again := full()
	again.Probe.At = time.Unix(1, 0)
	later := full()
	later.Probe.At = time.Unix(2, 0)
	if !same(again, later) {
		t.Error("that a probe was asked again is news")
	}
	if !same(full(), full()) {
		t.Error("a status is not the same as itself")
	}
}

func BenchmarkSame(b *testing.B) {
	x, y := full(), full()
	b.ReportAllocs()
	for b.Loop() {
		same(x, y)
	}
}
