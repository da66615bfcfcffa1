// Package statetest is the conformance suite of [state.Store]: what a store
// passes here, the refresher relies on.
package statetest

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// Backend is one place where records are, empty at first.
type Backend struct {
	// Open opens the store on that place. It is called again after the store
	// that it returned before has been closed.
	Open func(t *testing.T) state.Store

	// Damage alters the stored record of name, while no store is open, in a way
	// that leaves the store as a whole intact.
	Damage func(t *testing.T, name string)
}

// Run runs the suite; fresh returns a new Backend for each test.
func Run(t *testing.T, fresh func(t *testing.T) Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Backend)
	}{
		{"every field comes back after reopening", roundTrip},
		{"an absent record is ErrNoRecord", absent},
		{"a save replaces the record", overwrite},
		{"a deleted record is gone for good", deleted},
		{"names are told apart and checked", names},
		{"saves of many names at once all last", concurrentNames},
		{"the last save of one name wins", lastSaveWins},
		{"an ended context writes nothing", endedContext},
		{"a save whose caller left comes before the next", abandonedSave},
		{"Close lasts what was saved and ends the rest", closed},
		{"a damaged record is quarantined and its neighbours are not", quarantined},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t)) })
	}
}

// Full returns a record with every field set.
func Full() token.Record {
	at := time.Date(2026, 2, 28, 23, 59, 59, 999_999_999, time.UTC)
	return token.Record{
		Token: token.Token{
			Generation:  1<<63 + 7,
			AccessToken: token.NewSecret("access \x00\xff ü"),
			TokenType:   "bEARER",
			Scope:       "a b",
			IssuedAt:    at,
			ExpiresAt:   at.Add(-time.Hour), // some servers hand out expired ones
		},
		RefreshToken: token.NewSecret("refresh"),
		Binding:      "https://as.example/token client",
		Seed:         sha256.Sum256([]byte("seed")),
		Intent:       &token.Intent{Attempt: 3, Spent: sha256.Sum256([]byte("refresh")), Started: at.Add(time.Nanosecond)},
		Rotation:     token.RotationNone,
		Notified:     1<<63 + 6,
		Cold:         true,
	}
}

// Records returns records that stores have been known to lose a part of, by
// what is special about them.
func Records() map[string]token.Record {
	with := func(change func(*token.Record)) token.Record {
		r := Full()
		change(&r)
		return r
	}
	return map[string]token.Record{
		"zero":                 {},
		"full":                 Full(),
		"no intent":            with(func(r *token.Record) { r.Intent = nil }),
		"empty intent":         with(func(r *token.Record) { r.Intent = &token.Intent{} }),
		"negative attempt":     with(func(r *token.Record) { r.Intent.Attempt = -1 }),
		"no access token":      with(func(r *token.Record) { r.Token = token.Token{} }),
		"rotation seen":        with(func(r *token.Record) { r.Rotation = token.RotationSeen }),
		"before 1970":          with(func(r *token.Record) { r.IssuedAt = time.Unix(-1, 5).UTC() }),
		"year 9999":            with(func(r *token.Record) { r.ExpiresAt = time.Date(9999, 12, 31, 0, 0, 0, 1, time.UTC) }),
		"at the epoch":         with(func(r *token.Record) { r.IssuedAt = time.Unix(0, 0).UTC() }),
		"one MiB access token": with(func(r *token.Record) { r.AccessToken = token.NewSecret(strings.Repeat("x", 1<<20)) }),
	}
}

// Same fails the test unless got is want: bytes, instants and all.
func Same(t *testing.T, got, want token.Record) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s differs: got %+v, want %+v (or a secret that is not shown)",
				g.Type().Field(i).Name, g.Field(i).Interface(), w.Field(i).Interface())
		}
	}
}
