package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names as Kubernetes has them (RFC 1123 section 2.1).
var (
	labelName     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	subdomainName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	dataKey       = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
	qualifiedName = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
)

const maxSubdomain = 253

func isLabelName(s string) bool { return labelName.MatchString(s) }

func isSubdomain(s string) bool { return len(s) <= maxSubdomain && subdomainName.MatchString(s) }

// isDataKey reports whether a Secret can have s as a key. Mounted, it is the
// name of a file.
func isDataKey(s string) bool {
	return dataKey.MatchString(s) && s != "." && !strings.HasPrefix(s, "..")
}

// isQualified reports whether s can be the key of a label or an annotation.
func isQualified(s string) bool {
	prefix, name, prefixed := strings.Cut(s, "/")
	if !prefixed {
		return qualifiedName.MatchString(s)
	}
	return isSubdomain(prefix) && qualifiedName.MatchString(name)
}

func subdomainRule(what string) string {
	return what + " is of lower-case letters, digits, dots and hyphens, with a letter or digit at both ends (RFC 1123)."
}

func (d *decoder) validateNamespace(s section, namespace string) {
	if namespace != "" && !isLabelName(namespace) {
		s.fault("namespace", "Unsuitable namespace", "A namespace is of up to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends (RFC 1123).")
	}
}

// validVaultPath reports whether path is one of a mount or below it, as the API
// takes it.
func validVaultPath(path string) bool {
	return path != "" && !strings.ContainsFunc(path, isControl) && !strings.ContainsAny(path, "\t?#%*") &&
		!slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
			return part == "" || part == "." || part == ".." || strings.TrimSpace(part) != part
		})
}

// validateVaultPath judges a path, or a part of one; example is one that would
// do.
func (d *decoder) validateVaultPath(s section, key, example, path string) {
	if s.isGood(key) && !validVaultPath(path) {
		s.fault(key, "Unsuitable "+key, fmt.Sprintf("A %s in Vault has no slashes around it, no empty part and none that is \".\" or \"..\": %s = %q.", key, key, example))
	}
}
