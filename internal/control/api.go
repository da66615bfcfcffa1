package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"

	"github.com/tokend-project/tokend/internal/token"
)

// maxSuggestion is how many edits away a name may be to be suggested.
const maxSuggestion = 3

// maxNamed is how many tokens an error names before it only counts them.
const maxNamed = 10

// api answers requests out of a daemon.
type api struct{ daemon Daemon }

func (a api) status(r *http.Request) (any, error) {
	status := a.daemon.Status()
	names := r.URL.Query()["token"]
	if len(names) == 0 {
		return status, nil
	}
	if err := unknown(status.Tokens, names); err != nil {
		return nil, err
	}
	status.Tokens = slices.DeleteFunc(status.Tokens, func(t token.Status) bool {
		return !slices.Contains(names, t.Name)
	})
	return status, nil
}

func (a api) names(*http.Request) (any, error) {
	names := []string{}
	for _, t := range a.daemon.Status().Tokens {
		names = append(names, t.Name)
	}
	return names, nil
}

func (a api) token(r *http.Request) (any, error) {
	minTTL, err := duration(r, "min_ttl")
	if err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	t, err := a.daemon.Token(r.Context(), name, minTTL)
	if err != nil {
		return nil, a.explain(err, name)
	}
	return answerOf(t), nil
}

func (a api) refresh(r *http.Request) (any, error) {
	name := r.PathValue("name")
	login := r.URL.Query().Get("login") == "true"
	return nil, a.explain(a.daemon.Refresh(r.Context(), name, login), name)
}

func (a api) reload(r *http.Request) (any, error) {
	if err := a.daemon.Reload(r.Context()); err != nil {
		return nil, &Error{Code: CodeConfig, Message: err.Error()}
	}
	return nil, nil
}

func (a api) fingerprints(r *http.Request) (any, error) { return a.daemon.Fingerprints(r.Context()) }

func (a api) wait(r *http.Request) (any, error) {
	minTTL, err := duration(r, "min_ttl")
	if err != nil {
		return nil, err
	}
	timeout, err := duration(r, "timeout")
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	names := r.URL.Query()["token"]
	err = a.daemon.Wait(ctx, names, minTTL)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, late(a.daemon.Status().Tokens, names, minTTL)
	}
	return nil, a.explain(err, names...)
}

// explain says which of the names asked for is unknown, when that is what err
// says.
func (a api) explain(err error, names ...string) error {
	if !errors.Is(err, ErrUnknownToken) {
		return err
	}
	if named := unknown(a.daemon.Status().Tokens, names); named != nil {
		return named
	}
	return err
}

// unknown returns an error for the first name that no token has.
func unknown(tokens []token.Status, names []string) error {
	for _, name := range names {
		if slices.ContainsFunc(tokens, func(t token.Status) bool { return t.Name == name }) {
			continue
		}
		e := &Error{Code: CodeUnknownToken, Message: fmt.Sprintf("no token %q is configured", name)}
		best := maxSuggestion + 1
		for _, t := range tokens {
			if d := levenshtein.Distance(name, t.Name, nil); d < best && d < len(name) {
				best, e.Suggestion = d, t.Name
			}
		}
		return e
	}
	return nil
}

// late names the tokens that were waited for in vain.
func late(tokens []token.Status, names []string, minTTL time.Duration) error {
	var wanting []string
	until := time.Now().Add(minTTL)
	for _, t := range tokens {
		wanted := len(names) == 0 || slices.Contains(names, t.Name)
		if wanted && (t.Generation == 0 || t.ExpiresAt.Before(until)) {
			wanting = append(wanting, t.Name)
		}
	}
	n := len(wanting)
	if n > maxNamed {
		wanting = append(wanting[:maxNamed], fmt.Sprintf("and %d more", n-maxNamed))
	}
	message := fmt.Sprintf("still without a valid access token: %s", strings.Join(wanting, ", "))
	if minTTL > 0 {
		message = fmt.Sprintf("still without an access token that lives %s longer: %s", minTTL, strings.Join(wanting, ", "))
	}
	return &Error{Code: CodeNotReady, Message: message}
}

// duration reads a query parameter; one that is missing is 0.
func duration(r *http.Request, key string) (time.Duration, error) {
	value := r.URL.Query().Get(key)
	if value == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%w: %s is no positive duration", errBadRequest, key)
	}
	return d, nil
}
