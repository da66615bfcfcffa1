package grants

import (
	"context"

	"github.com/tokend-project/tokend/internal/endpoint"
	"github.com/tokend-project/tokend/internal/token"
)

// Source obtains access tokens for one token: by logging in with its grant, or
// by spending a refresh token. It is immutable and safe for concurrent use.
type Source struct {
	client   *endpoint.Client
	clientID string
	secret   token.Secret
	grant    Grant
}

// NewSource binds a grant to the endpoint and the client it is used by.
func NewSource(c *endpoint.Client, clientID string, clientSecret token.Secret, g Grant) *Source {
	return &Source{client: c, clientID: clientID, secret: clientSecret, grant: g}
}

// Login makes one token request with the grant. Its errors are those of
// [endpoint.Client.Send]. A family that began with a configured refresh token
// has no login: the error is then of class [token.Rejected], and nothing is
// sent.
func (s *Source) Login(ctx context.Context) (token.Answer, error) {
	if _, ok := s.grant.(refreshToken); ok {
		return token.Answer{}, noLogin()
	}
	grantType, values := s.grant.Params()
	return s.send(ctx, grantType, values)
}

// Refresh makes one token request that spends refreshToken (RFC 6749 section
// 6). The scope is not repeated: left out, it is the one that was granted.
func (s *Source) Refresh(ctx context.Context, refreshToken token.Secret) (token.Answer, error) {
	return s.send(ctx, "refresh_token", map[string]token.Secret{"refresh_token": refreshToken})
}

// Seed returns the configured refresh token that the family starts from, or
// nothing for other grants.
func (s *Source) Seed() token.Secret {
	g, _ := s.grant.(refreshToken)
	return g.seed
}

func (s *Source) send(ctx context.Context, grantType string, values map[string]token.Secret) (token.Answer, error) {
	return s.client.Send(ctx, endpoint.Params{
		GrantType:    grantType,
		ClientID:     s.clientID,
		ClientSecret: s.secret,
		Values:       values,
	})
}
