package endpoint

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/tokend-project/tokend/internal/loopback"
)

// parseEndpoint checks what RFC 6749 section 3.2 asks of a token endpoint: TLS
// and no fragment. Its errors don't repeat the URL, whose query may hold a
// secret.
func parseEndpoint(s string, allowInsecure bool) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the scheme must be https")
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.User != nil:
		return nil, errors.New("user and password don't belong into the URL; set client_id and client_secret")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("a fragment is not allowed (RFC 6749 section 3.2)")
	case !visibleASCII(u.Host) || !visibleASCII(u.RequestURI()):
		return nil, errors.New("host, path and query must be ASCII")
	case u.Scheme == "http" && !allowInsecure && !loopback.Is(u.Hostname()):
		return nil, fmt.Errorf("plain http to %s would show every secret to the network; use https, or set allow_insecure_http", u.Hostname())
	}
	return u, nil
}

func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
