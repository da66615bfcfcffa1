package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

var (
	vaultSchema = schema{
		attrs:    []string{"address", "standbys", "namespace", "timeout", "allow_insecure_http"},
		required: []string{"address"},
		blocks:   []blockType{{name: "tls"}, {name: "auth", label: "method"}},
	}
	vaultTLSSchema   = schema{attrs: []string{"ca_file", "cert_file", "key_file", "server_name"}}
	vaultStateSchema = schema{attrs: []string{"vault", "mount", "path", "key"}}
	vaultSinkSchema  = schema{
		attrs: append([]string{"vault", "mount", "path", "version", "data", "formats", "metadata", "max_versions", "check_every",
			"propagation", "on_remove"}, formatArguments...),
		required: []string{"mount", "path"},
	}
)

// serviceAccountToken is where Kubernetes puts it.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// authSchemas are the methods of logging in to Vault, and what each takes.
var authSchemas = map[string]*schema{
	"token":      {attrs: []string{"token"}, required: []string{"token"}},
	"token_file": {attrs: []string{"path"}, required: []string{"path"}},
	"approle":    {attrs: []string{"mount", "role_id", "secret_id", "secret_id_file", "secret_id_wrapped"}, required: []string{"role_id"}},
	"kubernetes": {attrs: []string{"mount", "role", "jwt_file"}, required: []string{"role"}},
	"jwt":        {attrs: []string{"mount", "role", "jwt_file"}, required: []string{"role", "jwt_file"}},
	"cert":       {attrs: []string{"mount", "role"}},
}

func (d *decoder) vaultBlocks(all []section) map[string]*Vault {
	blocks := map[string]*Vault{}
	for _, s := range d.unique("vault block", all) {
		blocks[s.label] = d.vaultBlock(s)
	}
	return blocks
}

func (d *decoder) vaultBlock(s section) *Vault {
	v := &Vault{Name: s.label, Timeout: 10 * time.Second}
	blocks := d.blocks(s.body, &vaultSchema)
	s.str("address", &v.Address)
	var standbys []string
	s.texts("standbys", &standbys)
	v.Standbys = strings.Join(standbys, " ")
	s.str("namespace", &v.Namespace)
	s.duration("timeout", &v.Timeout)
	s.boolean("allow_insecure_http", &v.AllowInsecureHTTP)
	tls, _ := d.onlyBlock(blocks.of("tls"), "tls", &vaultTLSSchema)
	if tls.block != nil {
		tls.readPath("ca_file", &v.TLS.CAFile)
		tls.readPath("cert_file", &v.TLS.CertFile)
		tls.readPath("key_file", &v.TLS.KeyFile)
		tls.str("server_name", &v.TLS.ServerName)
	}
	d.vaultAuth(blocks.of("auth"), s, v)
	d.validateVault(s, tls, v)
	return v
}

func (d *decoder) vaultAuth(all blockList, vault section, v *Vault) {
	methods := slices.Sorted(maps.Keys(authSchemas))
	if len(all) == 0 {
		d.fault(vault.defRange, "Missing auth block", vault.note(fmt.Sprintf(
			"The vault block %q has no auth block, which says how to log in: auth \"METHOD\" { … }, where the methods are %s.", vault.label, quotedList(methods))))
		return
	}
	sch, known := authSchemas[all[0].label]
	if !known {
		d.fault(all[0].labelRange, "Unknown auth method", all[0].note(fmt.Sprintf(
			"There is no method %s; the methods are %s.%s", all[0].name(), quotedList(methods), didYouMean(all[0].label, methods))))
		return
	}
	s, _ := d.onlyBlock(all, "auth", sch)
	a := &v.Auth
	a.Method = s.label
	if slices.Contains(sch.attrs, "mount") {
		a.Mount = s.label
	}
	if a.Method == "kubernetes" {
		a.JWTFile = serviceAccountToken
	}
	s.str("mount", &a.Mount)
	s.secret("token", &a.Token)
	s.readPath("path", &a.TokenFile)
	s.str("role_id", &a.RoleID)
	s.secret("secret_id", &a.SecretID)
	s.readPath("secret_id_file", &a.SecretIDFile)
	s.boolean("secret_id_wrapped", &a.SecretIDWrapped)
	s.str("role", &a.Role)
	s.readPath("jwt_file", &a.JWTFile)
	d.validateAuth(s, v)
}

// vaultOf reads the reference to a vault block; nil when it leads nowhere.
func (s section) vaultOf() *Vault {
	name := ""
	s.str("vault", &name)
	if s.has("vault") && !s.isGood("vault") {
		return nil
	}
	v, err := s.d.vault(name)
	s.referenceFault("vault", err)
	return v
}

func (d *decoder) vaultState(s section) State {
	d.blocks(s.body, &vaultStateSchema)
	state := State{Kind: s.label, Mount: "secret", Path: "tokend/state"}
	if v := s.vaultOf(); v != nil {
		state.Vault = *v
	}
	s.str("mount", &state.Mount)
	s.str("path", &state.Path)
	d.validateVaultPath(s, "mount", "secret", state.Mount)
	d.validateVaultPath(s, "path", "tokend/state", state.Path)
	return state
}

func decodeVaultSink(s section) *VaultSink {
	v := &VaultSink{OnRemove: "keep", CheckEvery: time.Minute, Vault: s.vaultOf()}
	s.str("mount", &v.Mount)
	s.str("path", &v.Path)
	s.integer("version", &v.Version)
	s.textMap("data", &v.Data)
	s.textMap("formats", &v.Formats)
	s.formatOptions(&v.FormatOptions)
	s.textMap("metadata", &v.Metadata)
	s.integer("max_versions", &v.MaxVersions)
	s.duration("check_every", &v.CheckEvery)
	s.oneOf("on_remove", &v.OnRemove, removals)
	return v
}
