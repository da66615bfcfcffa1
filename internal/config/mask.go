package config

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maskByte stands for one byte of source that is not shown. It keeps every
// range of the source where it is; showMasks makes a run of it readable, and
// hides how long the run was.
const maskByte = 0x01

var maskRun = regexp.MustCompile(`\x01+`)

// showMasks makes masked source readable.
func showMasks(text []byte) []byte { return maskRun.ReplaceAll(text, []byte("***")) }

// shownArguments are those whose literals are no secret. All others are masked,
// and so is what looks like an address with a secret in it.
var shownArguments = []string{
	"access_token", "address", "allow_insecure_http", "annotations", "basic_encoding", "burst", "ca_file", "cert_file", "check_every",
	"client_auth", "client_id", "concurrency", "context", "cron", "default_lifetime", "dir_mode", "endpoint", "every", "expires_in", "format",
	"formats", "grace", "group", "identity", "iterator", "jitter", "jwt_file", "key_file", "kubeconfig", "kubernetes", "labels", "lead",
	"lease_duration", "level", "login", "login_cron", "machine", "max_versions", "metadata", "method", "min_interval", "mode", "mount",
	"name", "namespace", "on_remove", "owner", "params_in", "path", "per_token", "prefix", "profile", "propagation", "provider", "qps", "rate", "ready",
	"refresh_at", "refresh_token", "registry", "renew_every", "role", "sample", "scope", "secret_id_file", "secret_id_wrapped", "server_name",
	"shards", "standbys", "socket", "template", "timeout", "token_endpoint", "token_type", "type", "url", "use", "user", "variable", "vault",
	"version",
}

// addressArguments are those whose literals may hold a user or a query.
var addressArguments = []string{"address", "endpoint", "standbys", "token_endpoint", "url"}

// blockWords are the types of blocks: a word with a label after it is a block
// only if it is one of these, and not an argument that lacks its equals sign.
var blockWords = []string{
	"auth", "content", "control", "dynamic", "grant", "ha", "http", "kubernetes", "limits", "log", "metrics", "on_update", "probe", "provider",
	"refresh_tokens", "request", "response", "schedule", "sink", "state", "systemd", "tls", "token", "tracing", "vault",
}

// plainWords are the words of expressions.
var plainWords = []string{"for", "in", "if", "else", "endif", "endfor", "null", "true", "false", "key", "value"}

// masker walks the tokens of a file as far as it takes to know what is a secret.
// It does not parse: it must also do for what cannot be parsed.
type masker struct {
	out    []byte
	tokens hclsyntax.Tokens
	blocks []string // the types of the blocks around, dynamic ones under the type they make
	word   string   // the first word of the statement
	label  string   // its first label
	inside bool     // past the equals sign
	depth  int      // of brackets past the equals sign
	chain  bool     // in a traversal that may be shown
	arg    int      // in how many quotes of a shown argument or key
	veiled bool     // the argument is an address that holds more than a place
}

// mask returns a copy of src in which nothing is left that may be secret.
func mask(src []byte, name string) []byte {
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	m := &masker{out: bytes.Repeat([]byte{maskByte}, len(src)), tokens: tokens}
	for i := range tokens {
		if m.step(i) {
			m.show(src, tokens[i].Range)
		}
	}
	for i, c := range src { // what lies between tokens
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			m.out[i] = c
		}
	}
	return m.out
}

func (m *masker) show(src []byte, at hcl.Range) {
	for i := at.Start.Byte; i < min(at.End.Byte, len(src)); i++ {
		if src[i] >= ' ' && src[i] != 0x7f {
			m.out[i] = src[i]
		}
	}
}

// step takes one token in, and reports whether it may be shown.
func (m *masker) step(i int) bool {
	tok := m.tokens[i]
	if m.inside {
		return m.expression(i, tok)
	}
	switch tok.Type {
	case hclsyntax.TokenNewline:
		m.word, m.label = "", ""
	case hclsyntax.TokenIdent:
		if m.word == "" {
			m.word = string(tok.Bytes)
			return true
		}
		return slices.Contains(blockWords, m.word)
	case hclsyntax.TokenQuotedLit:
		if m.label == "" {
			m.label = string(tok.Bytes)
		}
		return slices.Contains(blockWords, m.word)
	case hclsyntax.TokenEqual:
		m.inside, m.depth, m.arg, m.chain = true, 0, 0, false
		m.veil(i)
	case hclsyntax.TokenOBrace:
		m.open()
	case hclsyntax.TokenCBrace:
		m.close()
	case hclsyntax.TokenOQuote, hclsyntax.TokenCQuote:
	default:
		return false
	}
	return true
}

func (m *masker) open() {
	typ := m.word
	switch {
	case typ == "dynamic":
		typ = "dynamic " + m.label
	case typ == "content" && len(m.blocks) > 0:
		typ = bytesAfter(m.blocks[len(m.blocks)-1], "dynamic ")
	}
	m.blocks = append(m.blocks, typ)
	m.word, m.label = "", ""
}

func bytesAfter(s, prefix string) string {
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return s
}

func (m *masker) close() {
	m.blocks = m.blocks[:max(len(m.blocks)-1, 0)]
	m.word, m.label = "", ""
}

// expression judges a token past the equals sign.
func (m *masker) expression(i int, tok hclsyntax.Token) bool {
	switch tok.Type {
	case hclsyntax.TokenNewline:
		if m.depth == 0 {
			m.inside, m.word, m.label = false, "", ""
		}
		m.veil(i)
		return true
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
		m.depth++
		return true
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
		if m.depth == 0 { // the end of a block on one line
			m.inside = false
			m.close()
			return true
		}
		m.depth--
		return true
	case hclsyntax.TokenOQuote:
		m.arg = 0
		if m.isInputName(i) || m.isKey(i) {
			m.arg = 1
		}
		return true
	case hclsyntax.TokenCQuote:
		m.arg = 0
		return true
	case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
		return m.arg > 0 || m.shown() && !m.veiled
	case hclsyntax.TokenNumberLit, hclsyntax.TokenOHeredoc, hclsyntax.TokenCHeredoc:
		return m.shown()
	case hclsyntax.TokenIdent:
		return m.isWord(i, tok)
	case hclsyntax.TokenInvalid, hclsyntax.TokenBadUTF8, hclsyntax.TokenComment, hclsyntax.TokenApostrophe, hclsyntax.TokenBacktick, hclsyntax.TokenQuotedNewline:
		return false
	}
	return true
}

// veil looks for a user or a query in the line of an address behind the token at
// i. A percent sign divides a text into several tokens, and one alone may have
// nothing of it.
func (m *masker) veil(i int) {
	m.veiled = false
	if !slices.Contains(addressArguments, m.word) {
		return
	}
	for i++; i < len(m.tokens) && m.tokens[i].Type != hclsyntax.TokenNewline; i++ {
		m.veiled = m.veiled || bytes.ContainsAny(m.tokens[i].Bytes, "@?#")
	}
}

// shown reports whether the literals of the current argument may be seen.
func (m *masker) shown() bool {
	if len(m.blocks) == 0 {
		return false
	}
	if m.blocks[len(m.blocks)-1] == "grant" {
		return m.word == "scope"
	}
	return slices.Contains(shownArguments, m.word)
}

func (m *masker) typeAt(i int) hclsyntax.TokenType {
	if i < 0 || i >= len(m.tokens) {
		return hclsyntax.TokenEOF
	}
	return m.tokens[i].Type
}

// isInputName reports whether the quote at i opens an argument of a function
// that reads an input: a path or a name, but for the default of env.
func (m *masker) isInputName(i int) bool {
	open := i - 1
	for m.typeAt(open) == hclsyntax.TokenComma && m.typeAt(open-1) == hclsyntax.TokenCQuote {
		open -= 2
		for m.typeAt(open) == hclsyntax.TokenQuotedLit {
			open--
		}
		if m.typeAt(open) != hclsyntax.TokenOQuote {
			return false
		}
		open--
	}
	if m.typeAt(open) != hclsyntax.TokenOParen || m.typeAt(open-1) != hclsyntax.TokenIdent {
		return false
	}
	name := string(m.tokens[open-1].Bytes)
	return isInput(name) && (name != "env" || open == i-1)
}

// isKey reports whether the quote at i opens a key of an object.
func (m *masker) isKey(i int) bool {
	return m.depth > 0 && m.typeAt(i+1) == hclsyntax.TokenQuotedLit && m.typeAt(i+2) == hclsyntax.TokenCQuote && m.typeAt(i+3) == hclsyntax.TokenEqual
}

// isWord reports whether a word is part of the language, a function, a key or a
// step from an iterator, and not a secret that lacks its quotes.
func (m *masker) isWord(i int, tok hclsyntax.Token) bool {
	word, next := string(tok.Bytes), m.typeAt(i+1)
	if m.typeAt(i-1) == hclsyntax.TokenDot {
		return m.chain
	}
	m.chain = slices.Contains(blockWords, word) && next == hclsyntax.TokenDot
	return m.chain || m.shown() || slices.Contains(plainWords, word) ||
		next == hclsyntax.TokenOParen || next == hclsyntax.TokenEqual && m.depth > 0
}
