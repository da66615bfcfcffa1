package grants

import (
	"errors"

	"github.com/tokend-project/tokend/internal/token"
)

var errNeedsHuman = errors.New("this token lives by its refresh token alone; a person must obtain a new one and put it into the configuration")

// refreshToken is a family that began with a refresh token which a person
// obtained, by whatever grant. It can be refreshed (RFC 6749 section 6) and not
// logged in.
type refreshToken struct{ seed token.Secret }

func newRefreshToken(all parameters) (Grant, error) {
	if err := all.need("refresh_token", "refresh_token"); err != nil {
		return nil, err
	}
	if len(all) > 1 {
		return nil, errors.New(`build grant "refresh_token": it takes a refresh_token and nothing else; parameters of its requests belong into the provider's request "refresh_token"`)
	}
	return refreshToken{all.get("refresh_token")}, nil
}

func (g refreshToken) Params() (string, map[string]token.Secret) {
	return "refresh_token", map[string]token.Secret{"refresh_token": g.seed}
}

// noLogin is what a login by this grant comes to. Nothing is sent.
func noLogin() error {
	return &token.Failure{Class: token.Rejected, Reason: "needs_human", Err: errNeedsHuman}
}
