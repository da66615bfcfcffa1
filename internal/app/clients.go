package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
	vaultsink "github.com/tokend-project/tokend/internal/sinks/vault"
	"github.com/tokend-project/tokend/internal/vault"
)

// clients are those of Kubernetes and Vault, one for each block however many
// sinks, secrets and states use it. They outlive reloads as long as their block
// and the files that it names stay as they are. Safe for concurrent use.
type clients struct {
	logger *slog.Logger

	mu       sync.Mutex
	clusters map[cluster]*kube.Client
	vaults   []*vaultClient
	kept     map[any]bool // of these clients, those of state and ha, which are taken at start alone
	found    map[any]any  // the client of a block of the configuration that is being taken up

	templates sinks.Templates // of that configuration

	// background runs f until stop, or until run ends; nil before run.
	background func(f func(context.Context)) (stop context.CancelFunc)
	parts      sync.WaitGroup
}

// cluster and vaultServer are a block with the digest of the file that is read
// once, when its client is made.
type cluster struct {
	config.Kubernetes
	file [sha256.Size]byte
}

type vaultServer struct {
	config.Vault
	file [sha256.Size]byte
}

// vaultClient is a client with what its sinks share.
type vaultClient struct {
	*vault.Client
	of      vaultServer
	monitor *vaultsink.Monitor
	mounts  map[mount]*vault.KV // guarded by clients.mu
	stop    context.CancelFunc  // nil before run
}

type mount struct {
	path    string
	version int
}

func newClients(logger *slog.Logger) *clients {
	return &clients{logger: logger, clusters: map[cluster]*kube.Client{}, kept: map[any]bool{}, found: map[any]any{}}
}

func clusterOf(k *config.Kubernetes) cluster   { return cluster{*k, fileDigest(k.Kubeconfig)} }
func serverOf(v *config.Vault) vaultServer     { return vaultServer{*v, fileDigest(v.TLS.CAFile)} }
func fileDigest(path string) [sha256.Size]byte { return sha256.Sum256(content(path)) }

// content is nil for no file, and for one that cannot be read: whoever reads it
// next says so.
func content(path string) []byte {
	if path == "" {
		return nil
	}
	data, _ := os.ReadFile(path)
	return data
}

// kubernetes returns the client of a block. It makes no request.
func (c *clients) kubernetes(k *config.Kubernetes) (*kube.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.found[k].(*kube.Client); ok {
		return known, nil
	}
	key := clusterOf(k)
	if known := c.clusters[key]; known != nil {
		c.found[k] = known
		return known, nil
	}
	made, err := kube.New(kube.Options{Name: k.Name, Kubeconfig: k.Kubeconfig, Context: k.Context, QPS: k.QPS, Burst: k.Burst, Logger: c.logger})
	if err != nil {
		return nil, fmt.Errorf("kubernetes %q: %w", k.Name, err)
	}
	c.clusters[key], c.found[k] = made, made
	return made, nil
}

// vault returns the client of a block. It makes no request.
func (c *clients) vault(v *config.Vault) (*vaultClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.found[v].(*vaultClient); ok {
		return known, nil
	}
	of := serverOf(v)
	if i := slices.IndexFunc(c.vaults, func(known *vaultClient) bool { return known.is(of) }); i >= 0 {
		c.found[v] = c.vaults[i]
		return c.vaults[i], nil
	}
	made, err := vault.New(vaultOptions(v, c.logger))
	if err != nil {
		return nil, fmt.Errorf("vault %q: %w", v.Name, err)
	}
	client := &vaultClient{Client: made, of: of, monitor: vaultsink.NewMonitor(0), mounts: map[mount]*vault.KV{}}
	c.vaults = append(c.vaults, client)
	c.found[v] = client
	if c.background != nil {
		client.stop = c.background(client.run)
	}
	return client, nil
}

func vaultOptions(v *config.Vault, logger *slog.Logger) vault.Options {
	a := v.Auth
	return vault.Options{
		Name: v.Name, Address: v.Address, Standbys: strings.Fields(v.Standbys), AllowInsecureHTTP: v.AllowInsecureHTTP,
		Namespace: v.Namespace, Timeout: v.Timeout, Logger: logger, TLS: vault.TLS(v.TLS),
		Auth: vault.Auth{Method: a.Method, Mount: a.Mount, Token: a.Token, TokenFile: a.TokenFile, RoleID: a.RoleID, SecretID: a.SecretID,
			SecretIDFile: a.SecretIDFile, SecretIDWrapped: a.SecretIDWrapped, Role: a.Role, JWTFile: a.JWTFile},
	}
}

// kv returns a mount, which all that use it share.
func (c *clients) kv(v *config.Vault, path string, version int) (*vaultClient, *vault.KV, error) {
	client, err := c.vault(v)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := mount{path, version}
	if client.mounts[at] == nil {
		client.mounts[at] = client.KV(path, version)
	}
	return client, client.mounts[at], nil
}

// run keeps the clients alive until ctx ends.
func (c *clients) run(ctx context.Context) {
	c.mu.Lock()
	c.background = func(f func(context.Context)) context.CancelFunc {
		ctx, cancel := context.WithCancel(ctx)
		c.parts.Go(func() { f(ctx) })
		return cancel
	}
	for _, client := range c.vaults {
		client.stop = c.background(client.run)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.parts.Wait()
}

// run keeps the client's own token alive and looks for drift, until ctx ends.
func (v *vaultClient) run(ctx context.Context) {
	var monitor sync.WaitGroup
	monitor.Go(func() { v.monitor.Run(ctx) })
	v.Run(ctx)
	monitor.Wait()
}

func (v *vaultClient) is(of vaultServer) bool { return reflect.DeepEqual(v.of, of) }

func (v *vaultClient) shut() {
	if v.stop != nil {
		v.stop()
	}
	v.Close()
}

// keep has a client live as long as the daemon, whatever becomes of its block and
// of the files that it names.
func (c *clients) keep(client any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[client] = true
}

// forget lets go of what was found for one configuration, when it has been taken up
// and before the next one, as the last may have been refused.
func (c *clients) forget() {
	c.templates.Forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.found)
}

// retain closes the clients of blocks that are in use no more.
func (c *clients) retain(clusters []*config.Kubernetes, vaults []*config.Vault) {
	used := map[cluster]bool{}
	for _, k := range clusters {
		used[clusterOf(k)] = true
	}
	servers := make([]vaultServer, len(vaults))
	for i, v := range vaults {
		servers[i] = serverOf(v)
	}
	var closing []func()
	c.forget()
	c.mu.Lock()
	for key, client := range c.clusters {
		if !used[key] && !c.kept[client] {
			delete(c.clusters, key)
			closing = append(closing, client.Close)
		}
	}
	c.vaults = slices.DeleteFunc(c.vaults, func(client *vaultClient) bool {
		if slices.ContainsFunc(servers, client.is) || c.kept[client] {
			return false
		}
		closing = append(closing, client.shut)
		return true
	})
	c.mu.Unlock()
	for _, shut := range closing { // which may take seconds, to revoke a token
		c.parts.Go(shut)
	}
}

// close ends all of them.
func (c *clients) close() {
	c.mu.Lock()
	c.kept = nil
	c.mu.Unlock()
	c.retain(nil, nil)
	c.parts.Wait()
}
