package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/tokend-project/tokend/internal/control"
)

const (
	devConfig = "tokend.hcl"
	devMemory = "dev.json"
	devLog    = "tokend.log"
)

// devDir is the directory of a dev run, with what it remembers of the last one.
type devDir struct {
	root   string // absolute
	memory devState
}

// devState lets a second start be the continuation of the first: stored refresh
// tokens are only ever sent to the address that they came from.
type devState struct {
	Address string `json:"address"`
	Config  string `json:"config"` // SHA-256 of the configuration as it was written
}

// openDevDir creates the directory. A dev run that is still alive there is an
// error.
func openDevDir(ctx context.Context, path string) (*devDir, error) {
	d, err := findDevDir(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.root, 0o700); err != nil {
		return nil, fmt.Errorf("create the directory: %w", err)
	}
	client := control.NewClient(d.path(socketName))
	defer client.Close()
	if _, err := client.Names(ctx); err == nil {
		return nil, &codedError{fmt.Errorf("another tokend dev runs in %s: stop it, or choose another --dir", d.root), exitLocked}
	}
	return d, nil
}

// findDevDir reads what the last run left, if there was one.
func findDevDir(path string) (*devDir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find the directory: %w", err)
	}
	d := &devDir{root: root}
	text, err := os.ReadFile(d.path(devMemory))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &d.memory)
	}
	if err != nil {
		return nil, fmt.Errorf("read what the last run left: %w: remove %s to start afresh", err, d.path(devMemory))
	}
	return d, nil
}

func (d *devDir) path(name string) string { return filepath.Join(d.root, name) }

// listen takes the address that was asked for. Without one it takes that of the
// last run, or any free port when somebody else has taken that one.
func (d *devDir) listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	if address == "" && d.memory.Address != "" && checkLoopback(d.memory.Address) == nil {
		if l, err := config.Listen(ctx, "tcp", d.memory.Address); err == nil {
			return l, nil
		}
	}
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start the authorization server: %w", err)
	}
	return l, nil
}

// checkLoopback refuses to show demonstration passwords to a network.
func checkLoopback(address string) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().IsLoopback() {
		return fmt.Errorf("--address is %q: it is a loopback address with a port, such as 127.0.0.1:8080", address)
	}
	return nil
}

// keepConfig writes the configuration for a server at base. One that the user
// has edited stays as it is, but for the address in it.
func (d *devDir) keepConfig(base string, text func(base string) string) error {
	old := d.memory
	want := text(base)
	switch have, err := os.ReadFile(d.path(devConfig)); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read the configuration: %w", err)
	case hash(string(have)) != old.Config:
		want = strings.ReplaceAll(string(have), "http://"+old.Address+"/", base+"/")
	}
	if err := d.write(devConfig, want); err != nil {
		return err
	}
	d.memory.Address = strings.TrimPrefix(base, "http://")
	if pristine := text(base); want == pristine {
		d.memory.Config = hash(pristine)
	}
	memory, err := json.Marshal(d.memory)
	if err != nil {
		return fmt.Errorf("remember the address: %w", err)
	}
	return d.write(devMemory, string(memory)+"\n")
}

func (d *devDir) write(name, text string) error {
	if err := renameio.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", d.path(name), err)
	}
	return nil
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// openLog starts the log of this run.
func (d *devDir) openLog() (*os.File, error) {
	f, err := os.OpenFile(d.path(devLog), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}
