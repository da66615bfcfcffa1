package devserver

import "fmt"

// client is a registered client of one API, and account somebody who logs in
// there. The values are for demonstration and are printed by `tokend dev
// --print-config`; several hold characters that a client must encode in one
// place and must not in another.
type client struct{ id, secret string }

type account struct{ name, password, grant string }

// book is who is known to one API.
type book struct {
	clients  []client
	accounts []account
}

func demoBooks() map[API]*book {
	return map[API]*book{
		Musement: {
			clients:  []client{{"tokend-dev", "demo&secret=1"}},
			accounts: []account{{"traveller@example.com", "demo pass+word", grantPassword}},
		},
		GreyMatter: {
			clients:  []client{{"butler", "butler"}},
			accounts: []account{{"upstream", "upstream", grantPassword}},
		},
		Rator: {
			// The second secret tells a client that form-encodes before Basic
			// from one that doesn't.
			clients: []client{{"myclientid", "myclientsecret"}, {"tokend-dev", "demo+secret/100%"}},
			accounts: []account{
				{"customer", "demo-customer", grantPassword},
				{"operator", "demo#operator", grantOperator},
			},
		},
	}
}

func (b *book) knowsClient(id, secret string) bool {
	for _, c := range b.clients {
		if c.id == id {
			return c.secret == secret
		}
	}
	return false
}

func (b *book) account(name string) *account {
	for i := range b.accounts {
		if b.accounts[i].name == name {
			return &b.accounts[i]
		}
	}
	return nil
}

// ChangePassword gives an account another password until the server ends.
// Tokens it already has stay good.
func (s *Server) ChangePassword(api API, name, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.books[api]; b != nil {
		if a := b.account(name); a != nil {
			a.password = password
			return nil
		}
	}
	return fmt.Errorf("%s has no account %q", api, name)
}
