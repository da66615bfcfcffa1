package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/devserver"
	"github.com/tokend-project/tokend/internal/token"
)

// await asks until the answer is nil, and fails the script with the last one
// when that takes too long.
func await(ts *testscript.TestScript, ask func() error) {
	const pace, patience = 5 * time.Millisecond, 30 * time.Second
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pace) {
		if err = ask(); err == nil {
			return
		}
	}
	ts.Fatalf("waited in vain: %v", err)
}

func mustArgs(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "exits CODE COMMAND …")
	code, err := 0, ts.Exec(args[1], args[2:]...)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("the command ended with %d, and not %s", code, args[0])
	}
}

type serverKey struct{}

type scriptServer struct{ *devserver.Server }

func serverOf(ts *testscript.TestScript) *scriptServer {
	return ts.Value(serverKey{}).(*scriptServer)
}

func authserver(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 1, "authserver LIFETIME")
	lifetime, err := time.ParseDuration(args[0])
	ts.Check(err)
	server, err := devserver.New(devserver.Options{Lifetime: lifetime})
	ts.Check(err)
	web := httptest.NewServer(server.Handler())
	ts.Defer(func() {
		_ = server.Close()
		web.CloseClientConnections()
		web.Close()
	})
	serverOf(ts).Server = server
	ts.Setenv("AS", web.URL)
}

func served(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "served API key=n …")
	c := serverOf(ts).Stats().Of(devserver.API(args[0]))
	counts := map[string]uint64{
		"logins": c.Logins, "refreshes": c.Refreshes, "refusals": c.Refusals, "reuses": c.Reuses,
	}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		if got, ok := counts[key]; !ok || fmt.Sprint(got) != value {
			ts.Fatalf("the server has served %v, and not %s", counts, arg)
		}
	}
}

func fault(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "fault API MODE")
	for mode := devserver.Working; mode <= devserver.TooMany; mode++ {
		if strings.EqualFold(mode.String(), args[1]) {
			serverOf(ts).SetFault(devserver.Fault{Mode: mode}, devserver.API(args[0]))
			return
		}
	}
	ts.Fatalf("no fault is called %q", args[1])
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "signal NAME COMMAND")
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	for _, cmd := range ts.BackgroundCmds() {
		if cmd.Args[1] != args[1] {
			continue
		}
		if err := cmd.Process.Signal(signals[args[0]]); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
	}
}

func noCore(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 0, "nocore")
	client := control.NewClient(ts.MkAbs("run/control.sock"))
	defer client.Close()
	s, err := client.Status(context.Background())
	ts.Check(err)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.PID))
	ts.Check(err)
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if f := strings.Fields(rest); f[0] != "0" || f[1] != "0" {
				ts.Fatalf("core dumps are limited to %s", rest)
			}
			return
		}
	}
	ts.Fatalf("/proc tells no limit of core dumps")
}

func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 1, "waitfile FILE")
	await(ts, func() error {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err
	})
}

func waitGone(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 1, "waitgone FILE")
	await(ts, func() error {
		_, err := os.Lstat(ts.MkAbs(args[0]))
		if err == nil {
			return fmt.Errorf("%s is still there", args[0])
		}
		return nil
	})
}

func waitText(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "waittext FILE TEXT")
	await(ts, func() error {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && !strings.Contains(string(text), args[1]) {
			err = fmt.Errorf("%s says nothing of %q", args[0], args[1])
		}
		return err
	})
}

func waitStatus(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "waitstatus NAME key=value …")
	client := control.NewClient(ts.MkAbs("run/control.sock"))
	defer client.Close()
	await(ts, func() error {
		s, err := client.Status(context.Background())
		if err != nil {
			return err
		}
		facts, err := factsOf(s, args[0])
		for _, arg := range args[1:] {
			key, value, _ := strings.Cut(arg, "=")
			if err == nil && facts[key] != value {
				err = fmt.Errorf("%s is %v, and not %s", args[0], facts, arg)
			}
		}
		return err
	})
}

// factsOf picks what scripts wait for.
func factsOf(s control.Status, name string) (map[string]string, error) {
	if name == "config" {
		return map[string]string{"broken": fmt.Sprint(s.Config.Error != nil), "tokens": fmt.Sprint(len(s.Tokens))}, nil
	}
	for _, t := range s.Tokens {
		if t.Name == name {
			return map[string]string{
				"inflight": fmt.Sprint(t.InFlight),
				"state":    string(t.State), "generation": fmt.Sprint(t.Generation), "written": fmt.Sprint(written(t)),
			}, nil
		}
	}
	return nil, errors.New("no such token")
}

// written counts the sinks that hold the current generation.
func written(t token.Status) (n int) {
	for _, s := range t.Sinks {
		if s.Generation == t.Generation && s.LastError == nil {
			n++
		}
	}
	return n
}

func rename(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 2, "rename FROM TO")
	ts.Check(os.Rename(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

func deadSocket(ts *testscript.TestScript, neg bool, args []string) {
	mustArgs(ts, neg, args, 1, "deadsocket FILE")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unix"})
	ts.Check(err)
	l.SetUnlinkOnClose(false)
	ts.Check(l.Close())
}
