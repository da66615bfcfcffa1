package docs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the test hands to the programs of a machine.
const (
	envRoot   = "TOKEND_DOCS_MACHINE" // the directory that plays its root
	envTokend = "TOKEND_DOCS_BINARY"
	envPath   = "TOKEND_DOCS_PATH" // of the programs that are what they seem
	envRepo   = "TOKEND_DOCS_REPOSITORY"
)

// programs are those that a machine plays, since they would change a real one or
// are not there: each judges what it is called with, and does what can be done.
// The test binary is each of them, by the name that it is called by.
func programs() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"tokend": tokendProgram, "systemctl": systemctlProgram, "curl": curlProgram, "install": installProgram,
		"kubectl": kubectlProgram, "make": makeProgram, "go": goProgram, "useradd": nothing, "apt": packageProgram, "dpkg": packageProgram, "rpm": packageProgram, "dnf": packageProgram,
		"docker": dockerProgram, "journalctl": nothing, "promtool": pathsProgram, "systemd-creds": nothing,
		"systemd-analyze": pathsProgram,
	}
}

// plainPrograms are what they seem: they do no harm within a machine's directories.
func plainPrograms() []string {
	return []string{"base64", "cat", "chmod", "cp", "date", "env", "grep", "gzip", "head", "ls", "mkdir", "mktemp", "mv", "rm", "sleep", "tar", "tee", "touch"}
}

func TestMain(m *testing.M) {
	program, ok := programs()[filepath.Base(os.Args[0])]
	if !ok || os.Getenv(envRoot) == "" {
		var err error
		if workshop, err = os.MkdirTemp("", "docs"); err != nil {
			panic(err)
		}
		code := m.Run()
		_ = os.RemoveAll(workshop)
		os.Exit(code)
	}
	err := program(os.Args[1:])
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(99)
	}
	os.Exit(0)
}

func nothing([]string) error { return nil }

// tokendProgram is tokend, with the configuration of the machine as its default.
// What runs without end is asked for its help alone.
func tokendProgram(args []string) error {
	if len(args) > 0 && slices.Contains([]string{"once", "validate", "plan"}, args[0]) && !slices.ContainsFunc(args, isConfig) {
		args = append([]string{args[0], "--config", os.Getenv(envRoot) + "/etc/tokend"}, args[1:]...)
	}
	endless := len(args) > 0 && (args[0] == "run" || args[0] == "dev") || slices.Contains(args, "--watch")
	if endless {
		return wellFormed(args)
	}
	return passOn(os.Getenv(envTokend), args)
}

func isConfig(arg string) bool { return arg == "-c" || strings.HasPrefix(arg, "--config") }

func passOn(path string, args []string) error {
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

// wellFormed reports what is wrong with arguments of tokend, without doing what
// they say.
func wellFormed(args []string) error {
	binary := os.Getenv(envTokend)
	help, err := exec.Command(binary, "--help").Output()
	if err != nil {
		return err
	}
	if len(args) > 0 && args[0] != "help" && args[0] != "exit-codes" && !strings.HasPrefix(args[0], "-") &&
		!regexp.MustCompile(`(?m)^  `+regexp.QuoteMeta(args[0])+` +[A-Z]`).Match(help) {
		return fmt.Errorf("tokend has no command %s", args[0])
	}
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	out, err := exec.Command(binary, append(slices.Clone(args), "--help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tokend %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// systemctlProgram knows the unit tokend, and starts and stops it.
func systemctlProgram(args []string) error {
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--now" })
	if len(args) == 0 {
		return errors.New("no verb")
	}
	if len(args) > 1 && strings.TrimSuffix(args[1], ".service") != "tokend" && args[0] != "reload" {
		return fmt.Errorf("no unit %s", args[1])
	}
	switch args[0] {
	case "start", "enable":
		return startDaemon()
	case "stop", "disable":
		return stopDaemon()
	case "restart":
		if err := stopDaemon(); err != nil {
			return err
		}
		return startDaemon()
	case "reload":
		if len(args) > 1 && args[1] == "tokend" {
			return signalDaemon(syscall.SIGHUP)
		}
		return nil
	case "status", "edit", "cat", "show", "daemon-reload", "is-active":
		return nil
	}
	return fmt.Errorf("unknown verb %s", args[0])
}

func pidFile() string { return os.Getenv(envRoot) + "/daemon.pid" }

// startDaemon starts tokend in the background and waits until its tokens are
// there, as the unit does.
func startDaemon() error {
	log, err := os.Create(os.Getenv(envRoot) + "/daemon.log")
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(os.Getenv(envTokend), "run", "--config", os.Getenv(envRoot)+"/etc/tokend")
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	var out []byte
	for range 100 {
		out, err = exec.Command(os.Getenv(envTokend), "wait", "--timeout", "20s").CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 4 {
			break
		}
		time.Sleep(50 * time.Millisecond) // until its socket is there
	}
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("the daemon has no tokens: %w\n%s%s", err, out, said)
	}
	return nil
}

func signalDaemon(sig syscall.Signal) error {
	data, err := os.ReadFile(pidFile())
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

// stopDaemon ends the daemon and waits until the state is free.
func stopDaemon() error {
	if err := signalDaemon(syscall.SIGTERM); err != nil {
		return err
	}
	for range 400 {
		if errors.Is(signalDaemon(0), syscall.ESRCH) || isZombie() {
			return os.Remove(pidFile())
		}
		time.Sleep(25 * time.Millisecond) // it is not ours to wait for
	}
	return errors.New("the daemon does not end")
}

// isZombie reports whether the daemon has ended, and nobody has waited for it.
func isZombie() bool {
	pid, _ := os.ReadFile(pidFile())
	stat, err := os.ReadFile("/proc/" + string(pid) + "/stat")
	return err == nil && bytes.Contains(stat, []byte(") Z "))
}

// curlProgram makes one request, with the headers of -H, and prints the answer.
// It fails unless the answer is a success or a daemon's word on its health.
func curlProgram(args []string) error {
	var url string
	headers := http.Header{}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-H" && i+1 < len(args):
			i++
			if err := addHeaders(headers, args[i]); err != nil {
				return err
			}
		case arg == "-N": // events, without end
			return nil
		case strings.HasPrefix(arg, "-"):
		default:
			url = arg
		}
	}
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header = headers
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 && res.StatusCode != http.StatusServiceUnavailable && !strings.Contains(url, "/readyz/") {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	_, err = io.Copy(os.Stdout, res.Body)
	return err
}

// addHeaders takes a header, or "@" and a file of them, or "@-".
func addHeaders(headers http.Header, arg string) error {
	text := arg
	if name, is := strings.CutPrefix(arg, "@"); is {
		if name == "-" {
			name = "/dev/stdin"
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text = string(data)
	}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), ": ")
		if !ok {
			return fmt.Errorf("%s is no header", arg)
		}
		headers.Add(name, value)
	}
	return nil
}

// installProgram is install, without owners: they are not there.
func installProgram(args []string) error {
	var kept []string
	for i := 0; i < len(args); i++ {
		if args[i] == "-o" || args[i] == "-g" {
			i++
			continue
		}
		kept = append(kept, args[i])
	}
	return passOn(real("install"), kept)
}

// real finds a program that is what it seems.
func real(name string) string {
	for _, dir := range filepath.SplitList(os.Getenv(envPath)) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	return name
}

// kubectlProgram judges the kustomizations that it is given, and what tokend is to
// do in a pod.
func kubectlProgram(args []string) error {
	if at := slices.Index(args, "--"); at >= 0 {
		if inside := args[at+1:]; len(inside) > 0 && inside[0] == "/tokend" {
			return wellFormed(inside[1:])
		}
		return nil
	}
	for i, arg := range args {
		if (arg == "-k" || arg == "kustomize") && i+1 < len(args) {
			if _, err := os.Stat(filepath.Join(args[i+1], "kustomization.yaml")); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeProgram knows the targets of the Makefile.
func makeProgram(args []string) error {
	data, err := os.ReadFile(os.Getenv(envRepo) + "/Makefile")
	if err != nil {
		return err
	}
	for _, target := range args {
		if !strings.Contains(target, "=") && !bytes.Contains(data, []byte("\n"+target+":")) {
			return fmt.Errorf("no target %s", target)
		}
	}
	return nil
}

// goProgram looks for the packages that it is given.
func goProgram(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "./") {
			if _, err := os.Stat(filepath.Join(os.Getenv(envRepo), arg)); err != nil {
				return err
			}
		}
	}
	return nil
}

// packageProgram takes packages of tokend.
func packageProgram(args []string) error {
	for _, arg := range args {
		if strings.Contains(arg, "/") && !strings.Contains(filepath.Base(arg), "tokend") {
			return fmt.Errorf("no package %s", arg)
		}
	}
	return nil
}

func dockerProgram([]string) error {
	_, err := os.Stat(os.Getenv(envRepo) + "/Dockerfile")
	return err
}

// pathsProgram looks for the files of the repository that it is given.
func pathsProgram(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, "manifests/") {
			if _, err := os.Stat(arg); err != nil {
				return err
			}
		}
	}
	return nil
}
