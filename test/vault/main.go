// Command vault is a Vault server for tokend's tests: the core, the HTTP API, the
// secret engines and the auth methods of github.com/hashicorp/vault, unaltered,
// behind a small main of its own. Vault's own command cannot be built as a Go
// module from outside its repository. This is a module of its own too, so that
// none of it reaches tokend's.
//
// It prints one line of JSON when it listens, {"address": …, "control": …}, and
// ends when its standard input does, so that it cannot outlive the test that
// started it. It comes up sealed; initialising and unsealing go over the API as
// with any Vault.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
)

type options struct {
	storage, dir, address, cluster string
	cert, key, level               string
}

func main() {
	var o options
	flag.StringVar(&o.storage, "storage", "file", "file or raft")
	flag.StringVar(&o.dir, "dir", "", "the storage's directory")
	flag.StringVar(&o.address, "address", "127.0.0.1:0", "where the API listens")
	flag.StringVar(&o.cluster, "cluster", "127.0.0.1:0", "where raft listens")
	flag.StringVar(&o.cert, "cert", "", "the listener's certificate; none: plain HTTP")
	flag.StringVar(&o.key, "key", "", "the certificate's key")
	flag.StringVar(&o.level, "log", "error", "the least level that is logged")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	api, err := net.Listen("tcp", o.address)
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	core, err := newCore(o, api.Addr().String())
	if err != nil {
		return err
	}
	gate := newGate()
	go func() { fail(serveAPI(api, o, gate.wrap(handler(core)))) }()
	go func() { fail(serveControl(control, gate)) }()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"address": api.Addr().String(), "control": control.Addr().String(),
	}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return core.ShutdownWait()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "vault:", err)
	os.Exit(1)
}
