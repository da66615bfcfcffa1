package plainloop

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

func TestLoopKeepsItsFilesFresh(t *testing.T) {
	s, err := tokenserver.New(time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Options{TokenURL: "http://" + s.Address() + "/token", ClientSecret: tokenserver.ClientSecret,
			Tokens: 3, Dir: dir, InFlight: 2, Timeout: time.Second, Log: log.New(t.Output(), "", 0)})
	}()
	for i := range 3 {
		awaitSerial(ctx, t, filepath.Join(dir, FileName(i)), int32(i), 2)
	}
	cancel()
	<-done
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("directory holds %v, %v; want three files and no temporary one", left, err)
	}
}

// awaitSerial waits until the file holds the token's serial-th access token.
func awaitSerial(ctx context.Context, t *testing.T, path string, token, serial int32) {
	t.Helper()
	for ctx.Err() == nil {
		content, err := os.ReadFile(path)
		if got, ok := tokenserver.ParseAccessToken(string(content)); err == nil && ok && got.Token == token && got.Serial >= serial {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s never held access token %d", path, serial)
}
