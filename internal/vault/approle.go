package vault

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

// secretID is where an AppRole's secret id comes from.
type secretID struct {
	inline  token.Secret
	file    string
	wrapped bool
	mount   string

	wrapping token.Secret // that was unwrapped
	opened   token.Secret // what was in it
}

func (m *method) approle(a Auth) error {
	if !a.SecretID.IsEmpty() && a.SecretIDFile != "" {
		return errors.New("secret_id and secret_id_file exclude each other")
	}
	if a.SecretIDWrapped && a.SecretID.IsEmpty() && a.SecretIDFile == "" {
		return errors.New("secret_id_wrapped needs a secret_id or a secret_id_file")
	}
	m.file = a.SecretIDFile
	s := &secretID{inline: a.SecretID, file: a.SecretIDFile, wrapped: a.SecretIDWrapped, mount: m.mount}
	m.payload = func(ctx context.Context, c *Client) (map[string]any, error) {
		id, err := s.get(ctx, c)
		if err != nil {
			return nil, err
		}
		p := map[string]any{"role_id": a.RoleID}
		if !id.IsEmpty() {
			p["secret_id"] = id.Reveal()
		}
		return p, nil
	}
	return missing("role_id", a.RoleID == "")
}

func (s *secretID) get(ctx context.Context, c *Client) (token.Secret, error) {
	id := s.inline
	if s.file != "" {
		read, err := readSecret(s.file, true)
		switch {
		case err == nil:
			id = read
		case errors.Is(err, fs.ErrNotExist) && !s.opened.IsEmpty():
			id = s.wrapping // whoever brought it has taken it away again, as is wise
		default:
			return token.Secret{}, err
		}
	}
	if !s.wrapped {
		return id, nil
	}
	if !s.opened.IsEmpty() && id.Equal(s.wrapping) {
		return s.opened, nil
	}
	opened, err := s.unwrap(ctx, c, id)
	if err != nil {
		return token.Secret{}, err
	}
	s.wrapping, s.opened = id, opened
	return opened, nil
}

// unwrap takes the secret id out of its wrapping token, which works once. It looks
// first where the token says that its content was made: one that was swapped for
// another on its way is found out before anything is sent on.
func (s *secretID) unwrap(ctx context.Context, c *Client, wrapping token.Secret) (token.Secret, error) {
	doc, err := c.send(ctx, c.lib, request{
		op: "look up the wrapped secret id", method: http.MethodPut, path: "sys/wrapping/lookup",
		body: map[string]any{"token": wrapping.Reveal()},
	})
	if err != nil {
		return token.Secret{}, used(err)
	}
	if origin, _ := doc.Data["creation_path"].(string); !s.made(origin) {
		return token.Secret{}, &Error{
			Op: "look up the wrapped secret id", kinds: []error{ErrWrapping, errCredential},
			says: "the wrapping token does not hold a secret id of auth/" + s.mount + "; it may have been exchanged by somebody on its way: do not use it, find out who, and issue a new one",
		}
	}
	doc, err = c.send(ctx, withToken(c.lib, wrapping), request{
		op: "unwrap the secret id", method: http.MethodPut, path: "sys/wrapping/unwrap", body: map[string]any{},
	})
	if err != nil {
		return token.Secret{}, used(err)
	}
	id, _ := doc.Data["secret_id"].(string)
	if id == "" {
		return token.Secret{}, &Error{Op: "unwrap the secret id", says: "there was no secret id in it", kinds: []error{ErrWrapping, errCredential}}
	}
	return token.NewSecret(id), nil
}

// made reports whether a path is one that issues secret ids of this mount: with a
// namespace in front of it or without.
func (s *secretID) made(path string) bool {
	_, role, found := strings.Cut("/"+path, "/auth/"+s.mount+"/role/")
	name, found2 := strings.CutSuffix(role, "/secret-id")
	return found && found2 && name != "" && !strings.Contains(name, "/")
}

// used explains why a wrapping token can't be opened.
func used(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !(errors.Is(err, ErrWrapping) || errors.Is(err, ErrDenied)) {
		return err
	}
	return &Error{
		Op: e.Op, Status: e.Status, kinds: []error{ErrWrapping, errCredential},
		says: "the wrapping token has expired or was used already. If it was not tokend that used it (a wrapped secret id serves one start of it), somebody else has read the secret id: revoke it and issue a new one",
	}
}
