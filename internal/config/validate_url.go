package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/tokend-project/tokend/internal/loopback"
)

// validateURL judges an address that secrets are sent to. It never repeats the
// address, which may hold one.
func (d *decoder) validateURL(s section, key, address string, allowInsecure bool) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		s.fault(key, "Unsuitable address", fmt.Sprintf("%q must be a complete address: \"https://host/path\".", key))
	case u.Scheme != "https" && u.Scheme != "http":
		s.fault(key, "Unsuitable address", fmt.Sprintf("%q must begin with https://.", key))
	case u.User != nil:
		s.fault(key, "Secret in an address", fmt.Sprintf("%q must not hold a user or password. Client credentials go to client_id and client_secret.", key))
	case u.Fragment != "" || strings.Contains(address, "#"):
		s.fault(key, "Unsuitable address", fmt.Sprintf("%q must not have a fragment, \"#…\" (RFC 6749 section 3.2).", key))
	case key == "token_endpoint" && strings.Contains(address, "?"):
		s.fault(key, "Query in an address", "The token_endpoint must not have a query, \"?…\". Write what it holds as request { query = { name = \"value\" } }.")
	case u.Scheme == "http" && !allowInsecure && !loopback.Is(u.Hostname()):
		s.fault(key, "Plain http", "Secrets would go over the network unencrypted. Use https://, or set allow_insecure_http = true if that network is yours.")
	}
}
