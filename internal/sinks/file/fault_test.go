package file_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

const faultVariable = "TOKEND_TEST_FAULT"

// TestDiskFaults makes single system calls fail the way a bad disk does, in a
// process of its own whose kernel filter answers for the disk. Each fault must
// leave the old file intact and no temporary file, and say what to do.
func TestDiskFaults(t *testing.T) {
	if spec := os.Getenv(faultVariable); spec != "" {
		sufferFault(t, spec)
		return
	}
	for _, fault := range []struct {
		name  string
		call  uintptr
		errno syscall.Errno
		want  string
	}{
		{"ENOSPC at write", unix.SYS_WRITE, unix.ENOSPC, "no room or no inodes left"},
		{"EDQUOT at write", unix.SYS_WRITE, unix.EDQUOT, "quota"},
		{"EIO at write", unix.SYS_WRITE, unix.EIO, "the disk failed"},
		{"EIO at fsync", unix.SYS_FSYNC, unix.EIO, "the disk failed"},
		{"ENOSPC at fsync", unix.SYS_FSYNC, unix.ENOSPC, "no room or no inodes left"},
		{"EPERM at fchown", unix.SYS_FCHOWN, unix.EPERM, "CAP_CHOWN"},
		{"EPERM at fchmod", unix.SYS_FCHMOD, unix.EPERM, "set the mode of"},
		{"EBUSY at rename", unix.SYS_RENAMEAT, unix.EBUSY, "mount its directory instead"},
		{"EROFS at rename", unix.SYS_RENAMEAT, unix.EROFS, "read-only"},
		{"EPERM at rename", unix.SYS_RENAMEAT, unix.EPERM, "immutable"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDiskFaults$", "-test.v")
			cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", fmt.Sprintf("%s=%d %d %s", faultVariable, fault.call, fault.errno, fault.want))
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "--- SKIP") {
				t.Skipf("no system call can be made to fail here: %s", out)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func sufferFault(t *testing.T, spec string) {
	call, rest, _ := strings.Cut(spec, " ")
	number, want, _ := strings.Cut(rest, " ")
	nr, err := strconv.Atoi(call)
	must(t, err)
	no, err := strconv.Atoi(number)
	must(t, err)
	errno := syscall.Errno(no)

	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	s := newSink(t, file.Options{Path: path, Mode: 0o640, Owner: strconv.Itoa(os.Geteuid())})
	changes(t, s, 1)
	before := version(t, path)

	// What the test itself prints must get through, so only the disk's files
	// fail: those have descriptors above the standard three.
	if err := failCall(uint32(nr), errno); err != nil {
		t.Skip(err)
	}
	for range 2 { // a fault that stays is met by a new file each time
		if err := refuses(t, s, want); !errors.Is(err, errno) {
			t.Errorf("Write: %v; want %v", err, errno)
		}
		noTemps(t, dir)
	}
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
	if after := version(t, path); after != before {
		t.Error("the old file was touched")
	}
}

// failCall makes a system call fail in all threads of this process, for first
// arguments above 2.
func failCall(nr uint32, errno syscall.Errno) error {
	const offsetNumber, offsetArgument = 0, 16 // struct seccomp_data; the argument's low half
	stmt := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	jump := func(code uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: code, Jt: yes, Jf: no, K: k}
	}
	program := []unix.SockFilter{
		stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offsetNumber),
		jump(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, nr, 0, 3),
		stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offsetArgument),
		jump(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, 2, 0, 1),
		stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(errno)),
		stmt(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW),
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if e != 0 {
		return fmt.Errorf("install a system call filter: %w", e)
	}
	return nil
}

func TestFullFileSystem(t *testing.T) {
	for _, test := range []struct{ name, options string }{
		{"no room", "size=64k"},
		{"inodes exhausted", "nr_inodes=6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := mount(t, test.options)
			path := filepath.Join(dir, "token")
			s := newSink(t, file.Options{Path: path})
			changes(t, s, 1)
			exhaust(t, dir)
			if err := refuses(t, s, "no room or no inodes left"); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Write: %v; want ENOSPC", err)
			}
			if err := s.Check(t.Context()); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("Check: %v; want ENOSPC", err)
			}
			contains(t, path, sinktest.Token(1).AccessToken.Reveal())
			noTemps(t, dir)
		})
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := mount(t, "size=1m")
	path := filepath.Join(dir, "token")
	s := newSink(t, file.Options{Path: path})
	changes(t, s, 1)
	must(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	keeps(t, s, 1) // what is right needs no writing
	if err := refuses(t, s, "ReadWritePaths="); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Write: %v; want EROFS", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Check: %v; want EROFS", err)
	}
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
}

func TestImmutableFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	s := newSink(t, file.Options{Path: path})
	changes(t, s, 1)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, unix.STATX_ATTR_IMMUTABLE); err != nil {
		t.Skipf("no file can be made immutable here: %v", err)
	}
	t.Cleanup(func() {
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0))
	})
	if err := refuses(t, s, "chattr"); !errors.Is(err, syscall.EPERM) {
		t.Errorf("Write: %v; want EPERM", err)
	}
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
	noTemps(t, dir)
}

func TestParentIsNoDirectory(t *testing.T) {
	base := t.TempDir()
	must(t, os.WriteFile(filepath.Join(base, "file"), nil, 0o600))
	s := newSink(t, file.Options{Path: filepath.Join(base, "file", "token")})
	refuses(t, s, "not a directory")
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check returned nil")
	}
}

// mount mounts a tmpfs on a fresh directory.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// exhaust fills a file system until it takes neither a byte nor a name.
func exhaust(t *testing.T, dir string) {
	t.Helper()
	for n := range 10_000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("full", n)), make([]byte, 1<<12), 0o600); err != nil {
			return
		}
	}
	t.Fatal("the file system takes everything")
}
