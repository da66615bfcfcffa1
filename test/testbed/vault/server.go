package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tokend-project/tokend/test/testbed/internal/authority"
)

// Options say what a server is like.
type Options struct {
	// Storage is "file" (the default) or "raft". Raft takes a second longer to
	// start, and refuses entries over 1 MiB as most storages do in earnest.
	Storage string
}

// Server is a running Vault. Its methods may be called from many goroutines,
// except for those that stop and start it.
type Server struct {
	// Address is the URL of the API, https on loopback. It outlives a restart.
	Address string
	// RootToken may do everything.
	RootToken string
	// CAFile is the PEM file of the authority that signed the server's
	// certificate, which is for 127.0.0.1 and localhost.
	CAFile string

	options   Options
	dir       string
	bin       string
	listen    string // host and port of Address
	cluster   string
	unsealKey string
	authority *authority.Authority
	client    *http.Client

	mu      sync.Mutex
	process *process
}

// Start builds a server if need be, starts it with an empty storage, initialises
// and unseals it.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tokend-vault-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for Vault: %w", err)
	}
	s := &Server{options: o, dir: dir, bin: bin, listen: "127.0.0.1:0"}
	if err := s.begin(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) begin(ctx context.Context) error {
	if err := s.secure(); err != nil {
		return err
	}
	if s.options.Storage == "raft" {
		if err := s.reserveCluster(ctx); err != nil {
			return err
		}
	}
	if err := s.launch(); err != nil {
		return err
	}
	s.Address = "https://" + s.listen
	if err := s.initialise(ctx); err != nil {
		return err
	}
	return s.Unseal(ctx)
}

func (s *Server) secure() (err error) {
	if s.authority, err = authority.New("tokend test authority"); err != nil {
		return err
	}
	if _, _, err := s.issue("server", "vault"); err != nil {
		return err
	}
	s.CAFile = filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(s.CAFile, s.authority.PEM, 0o600); err != nil {
		return fmt.Errorf("write the authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.authority.PEM)
	s.client = &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
		},
	}
	return nil
}

// reserveCluster finds a port for raft, which wants to know it beforehand.
func (s *Server) reserveCluster(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port for raft: %w", err)
	}
	s.cluster = l.Addr().String()
	return l.Close()
}

func (s *Server) launch() error {
	args := []string{
		"-dir", s.dir, "-address", s.listen,
		"-cert", filepath.Join(s.dir, "server.pem"), "-key", filepath.Join(s.dir, "server.key"),
	}
	if s.cluster != "" {
		args = append(args, "-storage", "raft", "-cluster", s.cluster)
	}
	p, err := startProcess(s.dir, s.bin, args...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process, s.listen = p, p.at.Address
	return nil
}

func (s *Server) running() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Stop ends the server and removes what it kept.
func (s *Server) Stop() {
	s.Kill()
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	_ = os.RemoveAll(s.dir)
}

// Kill is kill -9. It returns when the server is gone; what it stored stays.
func (s *Server) Kill() {
	if p := s.running(); p != nil {
		p.kill()
	}
}

// Restart starts a server that was killed (or kills it first) at the same
// address, with what it stored, and unseals it.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.RestartSealed(ctx); err != nil {
		return err
	}
	return s.Unseal(ctx)
}

// RestartSealed is Restart without the unsealing: how Vault comes up by itself.
func (s *Server) RestartSealed(context.Context) error {
	s.Kill()
	s.client.CloseIdleConnections()
	return s.launch()
}

func (s *Server) initialise(ctx context.Context) error {
	answer, err := s.Call(ctx, http.MethodPut, "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1})
	if err != nil {
		return err
	}
	s.RootToken, _ = answer["root_token"].(string)
	if keys, ok := answer["keys_base64"].([]any); ok && len(keys) == 1 {
		s.unsealKey, _ = keys[0].(string)
	}
	return nil
}

// Seal seals the server: every request is answered with 503 until Unseal.
func (s *Server) Seal(ctx context.Context) error {
	_, err := s.Call(ctx, http.MethodPut, "sys/seal", nil)
	return err
}

// Unseal unseals the server, and returns when it is active and its KV engines
// answer: for a moment after each unsealing, those of version 2 refuse with 400.
func (s *Server) Unseal(ctx context.Context) error {
	if _, err := s.Call(ctx, http.MethodPut, "sys/unseal", map[string]any{"key": s.unsealKey}); err != nil {
		return err
	}
	if err := s.until(ctx, "sys/health"); err != nil {
		return err
	}
	mounts, err := s.Call(ctx, http.MethodGet, "sys/mounts", nil)
	if err != nil {
		return err
	}
	for path, about := range mounts {
		mount, _ := about.(map[string]any)
		options, _ := mount["options"].(map[string]any)
		if mount["type"] == "kv" && options["version"] == "2" {
			if err := s.until(ctx, path+"config"); err != nil {
				return err
			}
		}
	}
	return nil
}

// until waits until a GET succeeds.
func (s *Server) until(ctx context.Context, path string) error {
	for {
		_, err := s.Call(ctx, http.MethodGet, path, nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until Vault is active: %w", err)
		case <-s.running().done:
			return fmt.Errorf("wait until Vault is active: it ended: %s", s.running().tail())
		case <-time.After(10 * time.Millisecond): // another process has no event to wait for
		}
	}
}

// Requests returns how many requests the running server has seen, by method and
// path, such as "PUT /v1/secret/data/a". A listing has the method LIST. Those of
// this package's own methods count too.
func (s *Server) Requests(ctx context.Context) (map[string]int, error) {
	var seen map[string]int
	return seen, s.control(ctx, http.MethodGet, "/requests", &seen)
}
