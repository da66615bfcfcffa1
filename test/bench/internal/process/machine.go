package process

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// Machine describes the machine in one line.
func Machine() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	return fmt.Sprintf("%d cores (%s), Linux %s, %s", runtime.NumCPU(), processor(), strings.TrimSpace(string(kernel)), runtime.Version())
}

// Load is the load average of the last minute: how many processes wanted a core.
func Load() float64 {
	var minute float64
	content, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(content), &minute)
	}
	if err != nil {
		return math.NaN()
	}
	return minute
}

func processor() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(content)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

// FileSystem names the type of the file system that holds path, and how it is mounted.
func FileSystem(path string) string {
	var found syscall.Stat_t
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || syscall.Stat(path, &found) != nil {
		return "unknown"
	}
	device := fmt.Sprintf("%d:%d", major(found.Dev), minor(found.Dev))
	for line := range strings.Lines(string(mounts)) {
		left, right, _ := strings.Cut(line, " - ")
		place, kind := strings.Fields(left), strings.Fields(right)
		if len(place) > 5 && len(kind) > 2 && place[2] == device {
			return kind[0] + " (" + place[5] + ")"
		}
	}
	return "unknown"
}

// The two halves of a device number, as makedev(3) joins them.
func major(dev uint64) uint64 { return dev>>8&0xfff | dev>>32&^0xfff }
func minor(dev uint64) uint64 { return dev&0xff | dev>>12&^0xff }
