package vault_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/tokend-project/tokend/internal/sinks"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	"github.com/tokend-project/tokend/test/testbed"
)

const writers = 16 // at once, as delivery has them

// BenchmarkFleet writes every entry of a fleet once an iteration, through sinks and
// with Vault's own client alone.
func BenchmarkFleet(b *testing.B) {
	if server == nil {
		testbed.Missing(b, "there is no Vault")
	}
	const fleet = 1000
	b.Run("sinks", func(b *testing.B) {
		format, err := sinks.NewTemplate("{{ .AccessToken }}")
		must(b, err)
		kv := benchClient(b).KV(server.Mount(b, 2), 0)
		all := make([]*sink.Sink, fleet)
		for i := range all {
			all[i], err = sink.New(sink.Options{KV: kv, Path: fmt.Sprintf("fleet/%d", i), Data: map[string]sinks.Format{"token": format}})
			must(b, err)
		}
		g := uint64(0)
		for b.Loop() {
			g++
			once(b, fleet, func(i int) error {
				_, err := all[i].Write(b.Context(), young(g))
				return err
			})
		}
	})
	b.Run("bare client", func(b *testing.B) {
		config := api.DefaultConfig()
		config.Address = server.Address
		must(b, config.ConfigureTLS(&api.TLSConfig{CACert: server.CAFile}))
		client, err := api.NewClient(config)
		must(b, err)
		client.SetToken(server.RootToken)
		kv := client.KVv2(server.Mount(b, 2))
		g := uint64(0)
		for b.Loop() {
			g++
			once(b, fleet, func(i int) error {
				_, err := kv.Put(b.Context(), fmt.Sprintf("fleet/%d", i), map[string]any{"token": young(g).AccessToken.Reveal()})
				return err
			})
		}
	})
}

func once(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	all.Wait()
	must(b, errors.Join(errs...))
}

func benchClient(b *testing.B) *vault.Client {
	b.Helper()
	c, err := vault.New(vault.Options{
		Address: server.Address, TLS: vault.TLS{CAFile: server.CAFile},
		Auth: vault.Auth{Method: "token", Token: token.NewSecret(server.RootToken)},
	})
	must(b, err)
	b.Cleanup(c.Close)
	return c
}
