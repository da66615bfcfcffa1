package config

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/tokend-project/tokend/internal/token"
)

// Options are what Load takes from the world. The zero Options take it from the
// operating system.
type Options struct {
	// Env looks up a variable of the environment; nil for [os.LookupEnv].
	Env func(name string) (string, bool)

	// ReadFile reads what file, credential and tls name; nil for the file
	// system. It also returns the file's mode, and must return an error for
	// anything but a regular file. It does not read the configuration itself.
	ReadFile func(path string) ([]byte, fs.FileMode, error)

	// Remote reads what vault and kubernetes_secret name. Nil when nothing is to
	// be read from there: Load then judges what does not hang on it, and puts
	// stand-ins where it does, so that the Config is not fit to be run.
	Remote Remote

	// CheckTemplate judges a sink's template beyond its syntax; nil for syntax
	// alone. Its error must not hold any data but the template's own.
	CheckTemplate func(text string) error
}

func (o Options) withDefaults() Options {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ReadFile == nil {
		o.ReadFile = readFile
	}
	return o
}

// Load reads the files and directories of paths, merges them, evaluates and
// validates them. A directory stands for its *.hcl files in the order of their
// names, without those that begin with a dot.
//
// The Config is nil exactly when the Report's [Report.Err] is not. The Report
// is never nil: it holds the warnings of a Config that is good, and the paths
// to watch in either case. After a syntax error nothing is evaluated, since what
// stands behind it may mean anything. Load keeps nothing; it may run
// concurrently.
func Load(paths []string, opts Options) (*Config, *Report) {
	return LoadContext(context.Background(), paths, opts)
}

// LoadContext is [Load] with a context for what is read by [Options].Remote.
func LoadContext(ctx context.Context, paths []string, opts Options) (*Config, *Report) {
	d := newDecoder(opts)
	d.remote = newRemotes(ctx, opts.Remote)
	var sources []source
	for _, path := range d.configFiles(paths) {
		if src, ok := d.parse(path); ok {
			sources = append(sources, src)
			d.sources = append(d.sources, path)
		}
	}
	return d.load(sources)
}

// load makes a Config of what was parsed.
func (d *decoder) load(sources []source) (*Config, *Report) {
	var cfg *Config
	if !d.broken {
		cfg = d.config(sources)
	}
	report := d.report()
	if report.Err() != nil {
		return nil, report
	}
	return cfg, report
}

// source is one parsed config file.
type source struct {
	body body
	name string
}

// problem notes a fault that has no place in a file.
func (d *decoder) problem(summary, detail string) {
	d.diags = append(d.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail})
}

// configFiles lists the files behind the paths of the command line, each once.
func (d *decoder) configFiles(paths []string) []string {
	var files []string
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			d.problem("Cannot find configuration", fmt.Sprintf("%s: %v.", path, err))
			continue
		}
		d.watchFile(abs)
		info, err := os.Stat(abs)
		switch {
		case err != nil:
			d.problem("Cannot read configuration", fmt.Sprintf("%s: %v.", path, plainCause(err)))
		case info.IsDir():
			files = append(files, d.configDir(path)...)
		default:
			files = append(files, path)
		}
	}
	if len(paths) == 0 {
		d.problem("No configuration", "Name a config file or a directory of *.hcl files.")
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(files, func(file string) bool {
		abs, _ := filepath.Abs(file)
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			abs = real
		}
		was := seen[abs]
		seen[abs] = true
		return was
	})
}

func (d *decoder) configDir(dir string) []string {
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		d.problem("Cannot read configuration", fmt.Sprintf("%s: %v.", dir, plainCause(err)))
		return nil
	}
	var files []string
	for _, entry := range entries {
		if name := entry.Name(); filepath.Ext(name) == ".hcl" && !strings.HasPrefix(name, ".") {
			files = append(files, filepath.Join(dir, name))
		}
	}
	if len(files) == 0 {
		d.problem("No configuration", fmt.Sprintf("The directory %s holds no *.hcl file.", dir))
	}
	return files
}

func (d *decoder) parse(path string) (source, bool) {
	abs, _ := filepath.Abs(path)
	d.watchFile(abs)
	data, _, err := readFile(path)
	if err != nil {
		d.problem("Cannot read configuration", fmt.Sprintf("%s: %v.", path, err))
		return source{}, false
	}
	if len(bytes.TrimSpace(data)) == 0 {
		// What a program leaves that truncates before it writes, or dies between
		// the two. A daemon that took it for an answer would drop every token.
		d.problem("Empty configuration", fmt.Sprintf("%s holds nothing. If that is meant, write a comment into it.", path))
		return source{}, false
	}
	return d.parseBytes(data, path, filepath.Dir(abs))
}

// parseBytes parses one file whose relative paths start at dir.
func (d *decoder) parseBytes(data []byte, name, dir string) (source, bool) {
	file, diags := hclsyntax.ParseConfig(data, name, hcl.InitialPos)
	d.diags = append(d.diags, withoutEchoes(diags)...)
	if file == nil {
		return source{}, false
	}
	d.files[name] = file
	d.broken = d.broken || diags.HasErrors()
	syn, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return source{}, false
	}
	return source{name: name, body: body{syn: syn, ctx: d.scope(dir), dir: dir}}, true
}

// withoutEchoes drops what one missing quote makes of every line that follows.
func withoutEchoes(diags hcl.Diagnostics) hcl.Diagnostics {
	const echo = "Invalid multi-line string"
	seen := false
	return slices.DeleteFunc(diags, func(diag *hcl.Diagnostic) bool {
		again := seen && diag.Summary == echo
		seen = seen || diag.Summary == echo
		return again
	})
}

func (d *decoder) scope(dir string) *hcl.EvalContext {
	if d.scopes[dir] == nil {
		d.scopes[dir] = &hcl.EvalContext{Functions: d.functions(dir)}
	}
	return d.scopes[dir]
}

var rootSchema = schema{blocks: []blockType{
	{name: "kubernetes", label: "name"}, {name: "vault", label: "name"},
	{name: "state", label: "kind"}, {name: "ha", label: "kind"}, {name: "http"}, {name: "metrics"}, {name: "systemd"}, {name: "tracing"}, {name: "control"}, {name: "log"},
	{name: "provider", label: "name"}, {name: "token", label: "name"},
}}

// config decodes all sources into one Config, which is good only if no fault
// was noted on the way. What says how to reach Kubernetes and Vault comes first,
// since the rest may read from there.
func (d *decoder) config(sources []source) *Config {
	merged := map[string][]section{}
	d.collect(merged, sources, isClient)
	d.kubernetes = d.kubernetesBlocks(merged["kubernetes"])
	d.vaults = d.vaultBlocks(merged["vault"])
	d.remote.ready = true
	d.collect(merged, sources, func(syn *hclsyntax.Block) bool { return !isClient(syn) })
	cfg := &Config{
		HTTP:    d.http(d.single(merged, "http")),
		Metrics: d.metrics(d.single(merged, "metrics")),
		Systemd: d.systemd(d.single(merged, "systemd")),
		Tracing: d.tracing(d.single(merged, "tracing")),
		Control: d.control(d.single(merged, "control")),
		Log:     d.log(d.single(merged, "log")),
	}
	state, ha := d.single(merged, "state"), d.single(merged, "ha")
	cfg.State = d.state(state)
	cfg.HA = d.ha(ha, cfg.State)
	providers := d.providers(merged["provider"])
	tokens := d.tokens(merged["token"], providers)
	d.validateProviders(providers)
	d.validateTokens(tokens, newTargets(state, cfg.State, d.remote))
	for _, p := range providers {
		d.validateLabels(p)
	}
	for _, p := range providers {
		cfg.Providers = append(cfg.Providers, p.Provider)
	}
	cfg.Tokens = make([]*Token, 0, len(tokens))
	for i := range tokens {
		cfg.Tokens = append(cfg.Tokens, tokens[i].tok)
	}
	slices.SortFunc(cfg.Providers, func(a, b *Provider) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(cfg.Tokens, func(a, b *Token) int { return cmp.Compare(a.Name, b.Name) })
	cfg.Kubernetes = sortedValues(d.kubernetes)
	cfg.Vaults = sortedValues(d.vaults)
	return cfg
}

// collect adds those blocks of all sources that want takes.
func (d *decoder) collect(merged map[string][]section, sources []source, want func(*hclsyntax.Block) bool) {
	for _, src := range sources {
		part := *src.body.syn
		part.Blocks = slices.DeleteFunc(slices.Clone(part.Blocks), func(syn *hclsyntax.Block) bool { return !want(syn) })
		b := src.body
		b.syn = &part
		for _, blk := range d.blocks(b, &rootSchema) {
			merged[blk.typ] = append(merged[blk.typ], section{block: blk, d: d})
		}
	}
}

// isClient reports whether a block, or what a dynamic block makes, says how to
// reach Kubernetes or Vault.
func isClient(syn *hclsyntax.Block) bool {
	typ := syn.Type
	if typ == "dynamic" && len(syn.Labels) == 1 {
		typ = syn.Labels[0]
	}
	return typ == "kubernetes" || typ == "vault"
}

func sortedValues[T any](all map[string]T) []T {
	var list []T
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}

// single returns the only block of a type; the zero section without one.
func (d *decoder) single(merged map[string][]section, typ string) section {
	all := merged[typ]
	if len(all) == 0 {
		return section{d: d}
	}
	for _, second := range all[1:] {
		d.fault(second.defRange, fmt.Sprintf("Second %s block", typ),
			fmt.Sprintf("There is one %s block at most, and the first stands at %s.", typ, lineOf(all[0].defRange)))
	}
	return all[0]
}

// unique keeps the blocks whose names are good and their own.
func (d *decoder) unique(typ string, all []section) []section {
	first := make(map[string]hcl.Range, len(all))
	return slices.DeleteFunc(slices.Clone(all), func(s section) bool {
		if !token.ValidName(s.label) {
			d.fault(s.labelRange, fmt.Sprintf("Unsuitable %s name", typ), s.note(fmt.Sprintf(
				"%s cannot name a %s. A name has up to 63 lower-case letters, digits, dots, underscores and hyphens, and begins with a letter or digit.", s.name(), typ)))
			return true
		}
		if at, taken := first[s.label]; taken {
			d.fault(s.labelRange, fmt.Sprintf("Second %s of that name", typ),
				fmt.Sprintf("The first %s %q stands at %s. Give one of them another name.", typ, s.label, lineOf(at)))
			return true
		}
		first[s.label] = s.labelRange
		return false
	})
}
