package config

import (
	"fmt"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

var (
	stateSchema   = schema{attrs: []string{"path", "key"}}
	httpSchema    = schema{attrs: []string{"address"}}
	metricsSchema = schema{attrs: []string{"per_token"}}
	systemdSchema = schema{attrs: []string{"ready"}}
	controlSchema = schema{attrs: []string{"socket", "group"}}
	logSchema     = schema{attrs: []string{"level", "format"}}
)

// maxSocketPath is what sun_path of a unix socket holds, without its NUL.
const maxSocketPath = 107

var stateKinds = []string{"file", "kubernetes_secret", "vault_kv"}

func (d *decoder) state(s section) State {
	if s.block == nil {
		return d.fileState(s)
	}
	var state State
	switch s.label {
	case "file":
		state = d.fileState(s)
	case "kubernetes_secret":
		state = d.kubernetesState(s)
	case "vault_kv":
		state = d.vaultState(s)
	default:
		d.fault(s.labelRange, "Unknown kind of state", fmt.Sprintf("There is no state %s; the kinds are %s.%s", s.name(), quotedList(stateKinds), didYouMean(s.label, stateKinds)))
		return state
	}
	s.secret("key", &state.Key)
	if s.isEmpty("key", state.Key) {
		s.fault("key", "Empty secret", "The key is empty. Leave it out to keep records unsealed, or give it a value.")
	}
	return state
}

func (d *decoder) fileState(s section) State {
	state := State{Kind: "file", Dir: "/var/lib/tokend"}
	if dirs, ok := d.opts.Env("STATE_DIRECTORY"); ok && dirs != "" {
		state.Dir, _, _ = strings.Cut(dirs, ":") // systemd lists several with colons
	}
	if s.block != nil {
		d.blocks(s.body, &stateSchema)
		s.writtenPath("path", &state.Dir)
	}
	return state
}

func (d *decoder) http(s section) *HTTP {
	if s.block == nil {
		return nil
	}
	d.blocks(s.body, &httpSchema)
	http := &HTTP{Address: "127.0.0.1:9466"}
	s.str("address", &http.Address)
	_, port, err := net.SplitHostPort(http.Address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n > 65535 {
		s.fault("address", "Unsuitable address", "An address is a host and a port, such as \"127.0.0.1:9466\" or \"[::1]:9466\".")
	}
	return http
}

// fewTokens is up to how many tokens each has series of its own, unless the
// configuration says otherwise: 14 of each are a lot to keep for a Prometheus, and to
// write for a daemon, when there are thousands.
const fewTokens = 1000

func (d *decoder) metrics(s section) Metrics {
	metrics := Metrics{PerTokenUpTo: fewTokens}
	if s.block == nil {
		return metrics
	}
	d.blocks(s.body, &metricsSchema)
	var always bool
	s.boolean("per_token", &always)
	switch {
	case always:
		metrics.PerTokenUpTo = math.MaxInt
	case s.has("per_token"):
		metrics.PerTokenUpTo = 0
	}
	return metrics
}

func (d *decoder) systemd(s section) Systemd {
	systemd := Systemd{Ready: "delivered"}
	if s.block == nil {
		return systemd
	}
	d.blocks(s.body, &systemdSchema)
	s.oneOf("ready", &systemd.Ready, []string{"delivered", "started"})
	return systemd
}

func (d *decoder) control(s section) Control {
	control := Control{Socket: "/run/tokend/control.sock"}
	if dirs, ok := d.opts.Env("RUNTIME_DIRECTORY"); ok && dirs != "" {
		dir, _, _ := strings.Cut(dirs, ":")
		control.Socket = filepath.Join(dir, "control.sock")
	}
	if s.block == nil {
		return control
	}
	d.blocks(s.body, &controlSchema)
	s.writtenPath("socket", &control.Socket)
	if len(control.Socket) > maxSocketPath {
		s.fault("socket", "Path too long", fmt.Sprintf("The path of a unix socket has %d bytes at most.", maxSocketPath))
	}
	s.str("group", &control.Group)
	return control
}

func (d *decoder) log(s section) Log {
	log := Log{Level: slog.LevelInfo, Format: "json"}
	if s.block == nil {
		return log
	}
	d.blocks(s.body, &logSchema)
	level := "info"
	s.oneOf("level", &level, []string{"debug", "info", "warn", "error"})
	_ = log.Level.UnmarshalText([]byte(level)) // level is one of four good ones
	s.oneOf("format", &log.Format, []string{"json", "text", "journald", "auto"})
	return log
}

// oneOf reads a text that is one of a few words.
func (s section) oneOf(name string, dst *string, words []string) {
	if !s.has(name) {
		return
	}
	given := *dst
	s.str(name, &given)
	for _, word := range words {
		if given == word {
			*dst = word
			return
		}
	}
	s.fault(name, "Unsuitable value", fmt.Sprintf("%q must be one of %s; it is %s.%s", name, quotedList(words), s.quote(name, given), didYouMean(given, words)))
}

func quotedList(words []string) string { return strings.Join(quoted(words), ", ") }

func quoted(words []string) []string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = strconv.Quote(word)
	}
	return quoted
}

// writtenPath reads the path of something that tokend writes.
func (s section) writtenPath(name string, dst *string) {
	path := ""
	s.str(name, &path)
	switch {
	case path == "":
	case strings.ContainsRune(path, 0):
		s.fault(name, "Unsuitable path", "A path holds no NUL.")
	case !filepath.IsAbs(path):
		s.fault(name, "Relative path", fmt.Sprintf("%q must be absolute, since it does not depend on where tokend was started.", name))
	default:
		*dst = filepath.Clean(path)
	}
}

// readPath reads the path of something that tokend reads, relative to the file
// that says so.
func (s section) readPath(name string, dst *string) {
	path := ""
	s.str(name, &path)
	if path == "" {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	*dst = filepath.Clean(path)
}
