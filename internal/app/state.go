package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/state"
	statefile "github.com/tokend-project/tokend/internal/state/file"
	statekube "github.com/tokend-project/tokend/internal/state/kubernetes"
	statevault "github.com/tokend-project/tokend/internal/state/vault"
)

// openState opens the state of the kind that the configuration names. This is
// the list of them.
func openState(ctx context.Context, s *config.State, from *clients, logger *slog.Logger) (state.Store, error) {
	store, err := openStore(ctx, s, from, logger)
	if err != nil {
		return nil, fmt.Errorf("opening the state: %w", err)
	}
	return store, nil
}

func openStore(ctx context.Context, s *config.State, from *clients, logger *slog.Logger) (state.Store, error) {
	switch s.Kind {
	case "file":
		return ready(statefile.Open(ctx, statefile.Options{Dir: s.Dir, Key: s.Key, Logger: logger}))
	case "kubernetes_secret":
		client, err := from.kubernetes(&s.Kubernetes)
		if err != nil {
			return nil, err
		}
		from.keep(client)
		return ready(statekube.Open(ctx, statekube.Options{Client: client, Namespace: s.Namespace, Prefix: s.Prefix, Key: s.Key, Logger: logger}))
	case "vault_kv":
		client, kv, err := from.kv(&s.Vault, s.Mount, 2)
		if err != nil {
			return nil, err
		}
		from.keep(client)
		return ready(statevault.Open(ctx, statevault.Options{KV: kv, Path: s.Path, Key: s.Key, Logger: logger}))
	}
	return nil, fmt.Errorf("there is no state of kind %q", s.Kind)
}

// ready keeps a nil pointer from becoming a Store.
func ready[S state.Store](s S, err error) (state.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// stateStatus says in words where the state is.
func stateStatus(s *config.State) control.StateStatus {
	out := control.StateStatus{Kind: s.Kind, Location: s.Dir, Sealed: !s.Key.IsEmpty()}
	switch s.Kind {
	case "kubernetes_secret":
		out.Location = "Secrets " + s.Prefix + ".*"
		if s.Namespace != "" {
			out.Location += " in namespace " + s.Namespace
		}
	case "vault_kv":
		out.Location = s.Mount + "/" + s.Path + " at " + s.Vault.Address
	}
	return out
}
