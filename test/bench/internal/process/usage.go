package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat; USER_HZ is 100 on every Linux.
const tick = 10 * time.Millisecond

// CPU returns the time that the process has spent so far, user and system, all
// threads, those that have ended included. Its resolution is 10 ms.
func (c *Child) CPU() (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID()))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of %s: %w", c.Name, err)
	}
	return parseCPU(string(content))
}

// parseCPU adds utime and stime, fields 14 and 15. The second field, the command,
// may hold spaces and parentheses of its own.
func parseCPU(stat string) (time.Duration, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, errors.New("reading the CPU time: not the form of /proc/PID/stat")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// Memory is what of a process is resident, in bytes.
type Memory struct {
	Total     int64 // VmRSS
	Anonymous int64 // RssAnon: heap and stacks
	File      int64 // RssFile and RssShmem: the binary and mapped files
}

// String tells where the memory went.
func (m Memory) String() string {
	return fmt.Sprintf("%.1f MiB anonymous, %.1f MiB of files", float64(m.Anonymous)/(1<<20), float64(m.File)/(1<<20))
}

// Memory returns what of the process is resident now.
func (c *Child) Memory() (Memory, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", c.PID()))
	if err != nil {
		return Memory{}, fmt.Errorf("reading the memory of %s: %w", c.Name, err)
	}
	defer func() { _ = f.Close() }()
	var m Memory
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m.set(lines.Text())
	}
	if m.Total == 0 {
		return m, fmt.Errorf("reading the memory of %s: no VmRSS", c.Name)
	}
	return m, lines.Err()
}

func (m *Memory) set(line string) {
	name, value, _ := strings.Cut(line, ":")
	kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
	if err != nil {
		return
	}
	switch name {
	case "VmRSS":
		m.Total = kib << 10
	case "RssAnon":
		m.Anonymous = kib << 10
	case "RssFile", "RssShmem":
		m.File += kib << 10
	}
}
