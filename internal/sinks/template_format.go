package sinks

import (
	"fmt"

	"github.com/tokend-project/tokend/internal/token"
)

// formatIn is the function format of templates: a format's name, the data, and
// options as pairs of a name and a value.
func formatIn(name string, v view, options ...string) (string, error) {
	o, err := optionsOf(options)
	if err != nil {
		return "", err
	}
	f, err := NewFormat(name, o)
	if err != nil {
		return "", err
	}
	b, err := f.Render(v.token())
	return string(b), err
}

func optionsOf(pairs []string) (FormatOptions, error) {
	var o FormatOptions
	fields := map[string]*string{
		"variable": &o.Variable, "machine": &o.Machine, "login": &o.Login,
		"registry": &o.Registry, "username": &o.Username, "user": &o.User,
	}
	if len(pairs)%2 != 0 {
		return o, fmt.Errorf("an option is a name and a value")
	}
	for i := 0; i < len(pairs); i += 2 {
		field := fields[pairs[i]]
		if field == nil {
			return o, fmt.Errorf("no option of a format has the name at place %d", i+1)
		}
		*field = pairs[i+1]
	}
	return o, nil
}

// token is what the view was made of, as far as formats see it.
func (v view) token() token.Token {
	return token.Token{
		Generation:  v.Generation,
		AccessToken: token.NewSecret(v.AccessToken),
		TokenType:   v.TokenType,
		Scope:       v.Scope,
		IssuedAt:    v.ExpiresAt.Add(-v.Lifetime),
		ExpiresAt:   v.ExpiresAt.Time,
	}
}
