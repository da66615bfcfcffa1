package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/hcl/v2"

	"github.com/tokend-project/tokend/internal/loopback"
)

func (d *decoder) validateVault(s, tls section, v *Vault) {
	s.demand("address", v.Address != "")
	if v.Address != "" {
		d.validateVaultAddress(s, "address", v.Address, v.AllowInsecureHTTP)
	}
	for standby := range strings.FieldsSeq(v.Standbys) {
		d.validateVaultAddress(s, "standbys", standby, v.AllowInsecureHTTP)
	}
	if v.Timeout <= 0 {
		s.fault("timeout", "Unsuitable timeout", "A timeout must be longer than nothing.")
	}
	if tls.block == nil {
		return
	}
	d.validateTLS(func(key string) hcl.Range {
		if key == "" {
			return tls.defRange
		}
		return tls.at(key)
	}, TLS{CAFile: v.TLS.CAFile, CertFile: v.TLS.CertFile, KeyFile: v.TLS.KeyFile})
	d.warnIdleTLS(tls.defRange, v.Address)
}

func (d *decoder) validateVaultAddress(s section, key, address string, insecure bool) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		s.fault(key, "Unsuitable address", "The address of Vault begins with https:// and has a host: \"https://vault.example:8200\".")
	case u.User != nil:
		s.fault(key, "Secret in an address", "The address must not hold a user or password. How to log in is said by the auth block.")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		s.fault(key, "Unsuitable address", "The address of Vault has neither a path nor a query nor a fragment.")
	case u.Scheme == "http" && !insecure && !loopback.Is(u.Hostname()):
		s.fault(key, "Plain http", "Secrets would go over the network unencrypted. Use https://, or set allow_insecure_http = true if that network is yours.")
	}
}

// validateAuth judges what the schema of the method cannot.
func (d *decoder) validateAuth(s section, v *Vault) {
	a := v.Auth
	if a.Mount != "" {
		d.validateVaultPath(s, "mount", a.Method, a.Mount)
	}
	for key, value := range map[string]string{"role_id": a.RoleID, "role": a.Role, "path": a.TokenFile, "jwt_file": a.JWTFile, "secret_id_file": a.SecretIDFile} {
		s.demand(key, value != "")
	}
	s.demand("token", !a.Token.IsEmpty())
	s.demand("secret_id", !a.SecretID.IsEmpty())
	switch {
	case a.Method == "approle" && s.has("secret_id") && s.has("secret_id_file"):
		s.fault("secret_id_file", "Two secret_ids", "A secret_id is given as it is or as a file. Leave one of them out.")
	case a.Method == "approle" && !s.has("secret_id") && !s.has("secret_id_file"):
		d.warn(s.defRange, "Missing secret_id", s.note("The method \"approle\" needs a secret_id, or a secret_id_file that is read at every login, unless the role has bind_secret_id = false."))
	case a.Method == "cert" && v.TLS.CertFile == "":
		d.fault(s.defRange, "Missing client certificate", s.note("The method \"cert\" logs in with a client certificate: tls { cert_file = \"…\", key_file = \"…\" } in the same vault block."))
	}
}

// warnIdleTLS points at a tls block that says nothing, since what it is for is
// asked by plain http.
func (d *decoder) warnIdleTLS(at hcl.Range, address string) {
	if u, err := url.Parse(address); err == nil && u.Scheme == "http" {
		d.warn(at, "TLS beside plain http", fmt.Sprintf("The address begins with %s, so that this block says nothing: the connection is not encrypted, and neither side shows a certificate. Use https://, or leave the block out.", "http://"))
	}
}

// minCheckEvery keeps a sink from asking Vault all the time.
const minCheckEvery = time.Second

func (d *decoder) validateVaultSink(s section, v *VaultSink, taken *targets) {
	d.validateVaultPath(s, "mount", "secret", v.Mount)
	d.validateVaultPath(s, "path", "apps/rator", v.Path)
	if v.Version < 0 || v.Version > 2 {
		s.fault("version", "Unsuitable version", "The version of a KV engine is 1 or 2, or 0 to find out.")
	}
	for _, key := range []string{"metadata", "max_versions"} {
		if v.Version == 1 && s.has(key) {
			s.fault(key, "Argument of another version", fmt.Sprintf("%q says something only with version 2 of the KV engine.", key))
		}
	}
	if v.MaxVersions < 0 {
		s.fault("max_versions", "Unsuitable number of versions", "The max_versions is a number from 1 on, or 0 for what the engine says.")
	}
	if v.CheckEvery < minCheckEvery {
		s.fault("check_every", "Unsuitable interval", fmt.Sprintf("The check_every is %s at least, such as \"1m\".", minCheckEvery))
	}
	d.validateMetadata(s, v.Metadata)
	d.validateData(s, v.Data, v.Formats, &v.FormatOptions, func(key string) string {
		if key != "" && !strings.ContainsFunc(key, isControl) {
			return ""
		}
		return "A field has a name without control characters"
	})
	if v.Vault != nil && v.Mount != "" && v.Path != "" {
		taken.field(s, v)
	}
}

// Limits of the custom metadata of KV version 2.
const (
	maxMetadata      = 64
	maxMetadataKey   = 128
	maxMetadataValue = 512
)

func (d *decoder) validateMetadata(s section, all map[string]string) {
	if len(all) > maxMetadata {
		s.fault("metadata", "Too much metadata", fmt.Sprintf("Vault takes %d keys of custom metadata at most.", maxMetadata))
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		switch {
		case key == "" || len(key) > maxMetadataKey || !isPrintable(key):
			s.fault("metadata", "Unsuitable key", fmt.Sprintf("A key of custom metadata is printable and has up to %d bytes: it is %s.", maxMetadataKey, s.quote("metadata", key)))
		case strings.Contains(all[key], ".AccessToken"):
			s.fault("metadata", "Access token in metadata", fmt.Sprintf("Metadata is shown to more people than data is. Take the access token out of %s.", s.quote("metadata", key)))
		case !strings.Contains(all[key], "{{") && (len(all[key]) > maxMetadataValue || !isPrintable(all[key])):
			s.fault("metadata", "Unsuitable metadata", fmt.Sprintf("The value of %s must be printable and have up to %d bytes.", s.quote("metadata", key), maxMetadataValue))
		}
		if err := d.templateFault(all[key]); err != nil {
			s.fault("metadata", "Unsuitable template", fmt.Sprintf("The template of %s cannot be parsed%s.", s.quote("metadata", key), d.cause(s.at("metadata"), err)))
		}
	}
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
