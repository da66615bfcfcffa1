package devserver

// RevokeFamilies ends every login of an account, as an administrator or a reuse
// would: refresh and access tokens are dead at once. An empty account means all
// of the API. It returns how many were ended.
func (s *Server) RevokeFamilies(api API, account string) int {
	return s.eachFamily(api, account, s.ledger.revoke)
}

// RevokeRefreshTokens ends the refresh tokens alone; access tokens live on until
// they expire. An empty account means all of the API.
func (s *Server) RevokeRefreshTokens(api API, account string) int {
	return s.eachFamily(api, account, s.ledger.dropRefresh)
}

// KillAccessTokens ends the access tokens alone; refresh tokens stay good. An
// empty account means all of the API.
func (s *Server) KillAccessTokens(api API, account string) int {
	return s.eachFamily(api, account, s.ledger.killAccess)
}

func (s *Server) eachFamily(api API, account string, end func(*family)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for f := range s.ledger.families {
		if f.API == api && (account == "" || f.Account == account) {
			end(f)
			n++
		}
	}
	s.save()
	return n
}
