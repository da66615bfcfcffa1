package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	auditfile "github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/physical/raft"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

func newCore(o options, address string) (*vault.Core, error) {
	logger := hclog.New(&hclog.LoggerOptions{Name: "vault", Level: hclog.LevelFromString(o.level)})
	conf := &vault.CoreConfig{
		StorageType:        o.storage,
		RedirectAddr:       scheme(o) + address,
		DisableMlock:       true,
		EnableUI:           false,
		Logger:             logger,
		LogicalBackends:    map[string]logical.Factory{"kv": kv.Factory, "transit": transit.Factory},
		CredentialBackends: credentials(),
		AuditBackends:      map[string]audit.Factory{"file": auditfile.Factory},
		BuiltinRegistry:    nothing{},
		DefaultLeaseTTL:    768 * time.Hour,
		MaxLeaseTTL:        768 * time.Hour,
	}
	var err error
	switch o.storage {
	case "file":
		conf.Physical, err = file.NewTransactionalFileBackend(map[string]string{"path": filepath.Join(o.dir, "file")}, logger)
	case "raft":
		err = useRaft(conf, o, logger)
	default:
		err = fmt.Errorf("unknown storage %q", o.storage)
	}
	if err != nil {
		return nil, err
	}
	core, err := vault.NewCore(conf)
	if err != nil {
		return nil, err
	}
	if o.storage == "raft" {
		at, err := net.ResolveTCPAddr("tcp", o.cluster)
		if err != nil {
			return nil, err
		}
		core.SetClusterListenerAddrs([]*net.TCPAddr{at})
		core.SetClusterHandler(handler(core))
	}
	return core, nil
}

func useRaft(conf *vault.CoreConfig, o options, logger hclog.Logger) error {
	b, err := raft.NewRaftBackend(map[string]string{
		"path": o.dir, "node_id": "one", "performance_multiplier": "1",
	}, logger)
	if err != nil {
		return err
	}
	conf.Physical, conf.HAPhysical = b, b.(physical.HABackend)
	conf.ClusterAddr = "https://" + o.cluster
	return nil
}

func credentials() map[string]logical.Factory {
	return map[string]logical.Factory{
		"approle":    approle.Factory,
		"cert":       cert.Factory,
		"jwt":        jwt.Factory,
		"kubernetes": kubernetes.Factory,
		"userpass":   userpass.Factory,
	}
}

// nothing is a registry without a plugin: all backends are compiled in.
type nothing struct{}

func (nothing) Contains(string, consts.PluginType) bool { return false }

func (nothing) Get(string, consts.PluginType) (func() (interface{}, error), bool) { return nil, false }

func (nothing) Keys(consts.PluginType) []string { return nil }

func (nothing) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}

func handler(core *vault.Core) http.Handler {
	return vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Address: "127.0.0.1"},
	})
}

func scheme(o options) string {
	if o.cert == "" {
		return "http://"
	}
	return "https://"
}

// serveAPI asks for client certificates, as the cert auth method needs, and
// leaves judging them to it.
func serveAPI(l net.Listener, o options, h http.Handler) error {
	s := &http.Server{Handler: h, TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}}
	if o.cert == "" {
		return s.Serve(l)
	}
	return s.ServeTLS(l, o.cert, o.key)
}
