package file

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

var testKey = token.NewSecret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

func TestSmoke(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := Open(t.Context(), Options{Dir: dir, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	r := benchRecord(3)
	if err := s.Save(t.Context(), "a.b", r); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), Options{Dir: dir, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Load(t.Context(), "a.b")
	if err != nil {
		t.Fatal(err)
	}
	got.IssuedAt, got.ExpiresAt, got.Intent.Started = r.IssuedAt, r.ExpiresAt, r.Intent.Started
	if !reflect.DeepEqual(got, r) {
		t.Fatalf("%#v\n%#v", got, r)
	}
}
