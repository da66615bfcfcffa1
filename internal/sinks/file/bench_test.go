package file_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

const benchFiles = 10_000

// BenchmarkColdStart fills 10,000 files of one directory with 16 writers and with
// 64, on the file system of TMPDIR and on tmpfs where there is one. "loop" is what one would
// write without thinking of the others: a temporary file, its sync, the rename,
// the directory's sync.
func BenchmarkColdStart(b *testing.B) {
	for _, place := range []string{os.TempDir(), "/dev/shm"} {
		if _, err := os.Stat(place); err != nil {
			continue
		}
		for _, writers := range []int{16, 64} {
			for _, way := range []struct {
				name string
				make writer
			}{{"loop", loop}, {"sink", unwatched}, {"watched", watchedSink}} {
				b.Run(fmt.Sprintf("%s/%d%s", way.name, writers, place), func(b *testing.B) { fill(b, place, writers, way.make) })
			}
		}
	}
}

// writer makes the function that writes file number n of a directory.
type writer func(b *testing.B, dir string) func(n int)

func fill(b *testing.B, place string, writers int, make writer) {
	// Removed at the end: ext4 without a journal avoids inodes that were freed a
	// moment ago, and looks for others one by one.
	var remove []string
	defer func() {
		for _, dir := range remove {
			must(b, os.RemoveAll(dir))
		}
	}()
	for b.Loop() {
		b.StopTimer()
		dir, err := os.MkdirTemp(place, "tokend-bench-")
		must(b, err)
		write := make(b, dir)
		before := cpu(b)
		b.StartTimer()
		each(writers, write)
		b.StopTimer()
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/benchFiles, "cpu-µs/file")
		remove = append(remove, dir)
		b.StartTimer()
	}
	b.ReportMetric(benchFiles*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

func each(writers int, write func(n int)) {
	var wg sync.WaitGroup
	for first := range writers {
		wg.Go(func() {
			for n := first; n < benchFiles; n += writers {
				write(n)
			}
		})
	}
	wg.Wait()
}

func loop(b *testing.B, dir string) func(int) {
	content := []byte(sinktest.Token(1).AccessToken.Reveal())
	return func(n int) {
		f, err := os.CreateTemp(dir, "tmp")
		must(b, err)
		_, err = f.Write(content)
		must(b, err)
		must(b, f.Sync())
		must(b, f.Close())
		must(b, os.Rename(f.Name(), filepath.Join(dir, fmt.Sprint(n))))
		d, err := os.Open(dir)
		must(b, err)
		must(b, d.Sync())
		must(b, d.Close())
	}
}

func unwatched(b *testing.B, dir string) func(int) {
	m, err := file.NewMonitor(slog.New(slog.DiscardHandler))
	must(b, err)
	b.Cleanup(func() { must(b, m.Close()) })
	return writeEach(b, sinksIn(b, dir, m))
}

func watchedSink(b *testing.B, dir string) func(int) {
	all := sinksIn(b, dir, runMonitor(b))
	for _, s := range all {
		_, err := s.Watch(func() {})
		must(b, err)
	}
	return writeEach(b, all)
}

func sinksIn(b *testing.B, dir string, m *file.Monitor) []*file.Sink {
	all := make([]*file.Sink, benchFiles)
	for n := range all {
		s, err := file.New(file.Options{Path: filepath.Join(dir, fmt.Sprint(n)), Format: format(b, "token"), Monitor: m})
		must(b, err)
		all[n] = s
	}
	return all
}

func writeEach(b *testing.B, all []*file.Sink) func(int) {
	tok := sinktest.Token(1)
	return func(n int) {
		_, err := all[n].Write(b.Context(), tok)
		must(b, err)
	}
}

func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
