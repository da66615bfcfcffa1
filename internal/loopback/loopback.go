// Package loopback holds the one rule for plain http: secrets may travel
// unencrypted where they do not leave the machine, and nowhere else unless the
// user says so.
package loopback

import (
	"net/netip"
	"strings"
)

// Is reports whether host, as [net/url.URL.Hostname] returns it, is this machine
// for certain: a literal loopback address, IPv4 inside IPv6 included, or
// localhost (RFC 6761 section 6.3). Nothing is resolved: another name that leads
// to loopback today may lead elsewhere tomorrow.
func Is(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}
