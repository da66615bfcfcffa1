package file

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokend-project/tokend/internal/token"
)

// fleet is how many tokens the benchmarks keep.
const fleet = 10_000

// BenchmarkSave saves records of a fleet from so many goroutines at once, on
// the disk that TMPDIR is on. Each commit costs two syncs.
func BenchmarkSave(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		for _, key := range []token.Secret{{}, testKey} {
			b.Run(fmt.Sprintf("writers=%d/sealed=%t", writers, !key.IsEmpty()), func(b *testing.B) {
				benchmarkSave(b, writers, key)
			})
		}
	}
}

func benchmarkSave(b *testing.B, writers int, key token.Secret) {
	var commits atomic.Int64
	commit := func(tx *bbolt.Tx) error { commits.Add(1); return tx.Commit() }
	s, err := open(b.Context(), Options{Dir: filepath.Join(b.TempDir(), "state"), Key: key}, disk{commit: commit})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var next atomic.Int64
	fill := func() int { return int(next.Add(1)) }
	save(b, s, 256, fleet, fill)
	commits.Store(0)
	next.Store(0)

	b.ReportAllocs()
	b.ResetTimer()
	cpu := processTime()
	save(b, s, writers, b.N, fill)
	b.StopTimer()
	b.ReportMetric(float64(processTime()-cpu)/float64(b.N)/1e3, "cpu-µs/save")
	b.ReportMetric(2*float64(commits.Load())/float64(b.N), "syncs/save")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "saves/s")
}

// save saves n records from so many goroutines, in an order like a fleet's.
func save(b *testing.B, s *Store, writers, n int, next func() int) {
	done := make(chan error, writers)
	for range writers {
		go func() {
			for {
				i := next()
				if i > n {
					done <- nil
					return
				}
				if err := s.Save(b.Context(), fmt.Sprintf("tenant-%05d", i*7919%fleet), benchRecord(i)); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

func benchRecord(i int) token.Record {
	now := time.Now()
	return token.Record{
		Token: token.Token{
			Generation:  uint64(i),
			AccessToken: token.NewSecret(fmt.Sprintf("%043d", i)),
			TokenType:   "Bearer",
			IssuedAt:    now,
			ExpiresAt:   now.Add(time.Minute),
		},
		RefreshToken: token.NewSecret(fmt.Sprintf("%043d", i)),
		Binding:      fmt.Sprintf("%064d", i),
		Intent:       &token.Intent{Attempt: 1, Started: now},
	}
}

func processTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
