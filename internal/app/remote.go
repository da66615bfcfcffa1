package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

const (
	// readFor bounds what a load may spend on reading from Kubernetes and Vault.
	readFor = 30 * time.Second
	// readEvery is how often secrets are read again: Vault tells nobody of a
	// change, and a Role may forbid to watch a Secret that it lets be read.
	readEvery = time.Minute
	// readAgainEvery is how often the same is done for what could not be read: a
	// configuration that waits for it runs within half a minute.
	readAgainEvery = 15 * time.Second
)

// remote reads secrets for the functions vault and kubernetes_secret.
type remote struct{ clients *clients }

// Vault implements config.Remote.
func (r remote) Vault(ctx context.Context, block *config.Vault, path, field string) (string, error) {
	client, err := r.clients.vault(block)
	if err != nil {
		return "", unavailable(err)
	}
	found, err := client.Field(ctx, path, field)
	if errors.Is(err, vault.ErrLogin) || errors.Is(err, vault.ErrUnreachable) || errors.Is(err, vault.ErrSealed) ||
		errors.Is(err, vault.ErrStandby) || errors.Is(err, vault.ErrAmbiguous) {
		return "", unavailable(err)
	}
	return found.Reveal(), err
}

// KubernetesSecret implements config.Remote.
func (r remote) KubernetesSecret(ctx context.Context, block *config.Kubernetes, namespace, name, key string) (string, error) {
	client, err := r.clients.kubernetes(block)
	if err != nil {
		return "", unavailable(err)
	}
	found, err := client.SecretKey(ctx, namespace, name, key)
	if err != nil && !errors.Is(err, kube.ErrNoKey) && apierrors.ReasonForError(err) == "" { // no API server has answered
		return "", unavailable(err)
	}
	return found.Reveal(), err
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", config.ErrUnavailable, err) }

// load reads the configuration, templates and remote secrets included.
func load(ctx context.Context, paths []string, from *clients) (*config.Config, *config.Report) {
	ctx, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	from.forget()
	return config.LoadContext(ctx, paths, config.Options{CheckTemplate: from.templates.Check, Remote: remote{from}})
}

// Load reads a configuration to look at it. Offline, nothing is read from
// Kubernetes and Vault; what hangs on it is not checked.
func Load(ctx context.Context, paths []string, offline bool) (*config.Config, *config.Report) {
	if offline {
		return config.LoadContext(ctx, paths, config.Options{CheckTemplate: new(sinks.Templates).Check})
	}
	from := newClients(slog.New(slog.DiscardHandler))
	defer from.close()
	return load(ctx, paths, from)
}

// followRemote reloads when a secret changes that the configuration has read
// from Kubernetes or Vault, as [App.follow] does for files.
func (a *App) followRemote(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	var refs []config.RemoteSecret
	var look <-chan time.Time
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.reread:
			stop()
			refs = a.remotes()
			stop = a.watchRemote(refs, changed)
			look = lookAt(refs)
			continue
		case <-look:
		case <-changed:
		}
		look = lookAt(refs)
		if a.stale(ctx, refs) {
			_ = a.Reload(ctx) // logged, and shown in status
		}
	}
}

// lookAt is when secrets are to be read again without an occasion; nil for never.
func lookAt(refs []config.RemoteSecret) <-chan time.Time {
	switch {
	case slices.ContainsFunc(refs, func(r config.RemoteSecret) bool { return r.Read.IsEmpty() }):
		return time.After(readAgainEvery)
	case len(refs) > 0:
		return time.After(readEvery)
	}
	return nil
}

// watchRemote has changed signalled when a Secret of Kubernetes may have changed.
func (a *App) watchRemote(refs []config.RemoteSecret, changed chan<- struct{}) (stop func()) {
	var stops []func()
	watched := map[config.RemoteRef]bool{}
	for _, ref := range refs {
		secret := config.RemoteRef{Kubernetes: ref.Kubernetes, Namespace: ref.Namespace, Name: ref.Name}
		if ref.Kubernetes == nil || watched[secret] {
			continue
		}
		watched[secret] = true
		client, err := a.clients.kubernetes(ref.Kubernetes)
		if err != nil {
			continue // the load that needs it says so
		}
		stops = append(stops, client.WatchSecret(ref.Namespace, ref.Name, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// stale reports whether a secret is another one than what the last load read.
// One that cannot be read now is left as it was: there is nothing better.
func (a *App) stale(ctx context.Context, refs []config.RemoteSecret) bool {
	ctx, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	from := remote{a.clients}
	for _, ref := range refs {
		var now string
		var err error
		if ref.Vault != nil {
			now, err = from.Vault(ctx, ref.Vault, ref.Path, ref.Field)
		} else {
			now, err = from.KubernetesSecret(ctx, ref.Kubernetes, ref.Namespace, ref.Name, ref.Field)
		}
		switch {
		case err != nil:
			a.logger.Warn("a secret of the configuration could not be read again; the last one stays", "event", "reread_failed", "secret", ref.String(), "error", err)
		case !token.NewSecret(now).Equal(ref.Read):
			return true
		}
	}
	return false
}

// remotes is what the last load, be it a good one or not, has asked for.
func (a *App) remotes() []config.RemoteSecret {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.remote
}
