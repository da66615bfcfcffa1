package token_test

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

const canary = "s3cr3t-Canary+value/42="

// leaks names the shape in which out shows the canary, or a good part of it.
func leaks(out string) string {
	digits := make([]string, len(canary))
	for i := range len(canary) {
		digits[i] = strconv.Itoa(int(canary[i]))
	}
	for shape, text := range map[string]string{
		"plain":          canary,
		"prefix":         canary[:8],
		"suffix":         canary[len(canary)-8:],
		"hex":            hex.EncodeToString([]byte(canary[:8])),
		"spaced hex":     fmt.Sprintf("% x", canary[:4]),
		"0x hex":         fmt.Sprintf("%# x", canary[:4]),
		"base64":         base64.RawStdEncoding.EncodeToString([]byte(canary[:9])),
		"decimal":        strings.Join(digits[:6], " "),
		"decimal, comma": strings.Join(digits[:6], ","),
	} {
		if strings.Contains(strings.ToLower(out), strings.ToLower(text)) {
			return shape
		}
	}
	return ""
}

func TestLeaksFindsEveryShape(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%s", "%q", "%x", "%X", "% x", "%# x", "%.10s"} {
		if leaks(fmt.Sprintf(verb, canary)) == "" {
			t.Errorf("the canary under %s is not seen", verb)
		}
	}
	if leaks(fmt.Sprintf("%d", []byte(canary))) == "" {
		t.Error("the canary's bytes are not seen")
	}
}

type holder struct {
	Name   string
	Secret token.Secret
	Ptr    *token.Secret
	Map    map[string]token.Secret
	List   []token.Secret
	Array  [1]token.Secret
	Any    any
	Token  token.Token
	Answer token.Answer
	Record token.Record
}

func filled() holder {
	s := token.NewSecret(canary)
	tok := token.Token{Generation: 1, AccessToken: s}
	return holder{
		Name: "kept", Secret: s, Ptr: &s, Map: map[string]token.Secret{"k": s}, List: []token.Secret{s}, Array: [1]token.Secret{s},
		Any: s, Token: tok, Answer: token.Answer{AccessToken: s, RefreshToken: s}, Record: token.Record{Token: tok, RefreshToken: s},
	}
}

// fmt calls no methods of unexported fields, and hands the verb p to none at all.
func TestSecretInAnUnexportedFieldIsAnAddress(t *testing.T) {
	t.Parallel()
	hidden := struct {
		name   string
		secret token.Secret
	}{"hidden", token.NewSecret(canary)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%p"} {
		for _, value := range []any{hidden, &hidden, []any{hidden}, hidden.secret} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, canary) || strings.Contains(text, hex.EncodeToString([]byte(canary))) {
				t.Errorf("%s prints the secret: %s", verb, text)
			}
		}
	}
}

func TestSecretIsSeenUnderNoVerb(t *testing.T) {
	t.Parallel()
	s := token.NewSecret(canary)
	h := filled()
	values := map[string]any{
		"bare": s, "pointer": &s, "struct": h, "pointer to struct": &h,
		"map": h.Map, "slice": h.List, "array": h.Array,
		"any": []any{s, &s}, "error": fmt.Errorf("login failed: %v, %w", s, errors.New("refused")),
		"token": h.Token, "answer": h.Answer, "record": h.Record, "pointer to record": &h.Record,
	}
	for _, verb := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%# x", "%d", "%o", "%b", "%c", "%U", "%e", "%g", "%t",
		"%10v", "%-10s", "%.5s", "%+q", "%#q", "%08d", "%T", "%z", "%!",
	} {
		for name, v := range values {
			out := fmt.Sprintf(verb, v)
			if shape := leaks(out); shape != "" {
				t.Errorf("%s under %s shows the secret (%s): %s", name, verb, shape, out)
			}
			if name == "bare" && verb != "%T" && verb != "%!" && out != "[redacted]" {
				t.Errorf("a secret under %s is %q", verb, out)
			}
		}
	}
	for _, out := range []string{fmt.Sprint(s, &s, h), fmt.Sprintln(s), s.String(), s.GoString()} {
		if shape := leaks(out); shape != "" {
			t.Errorf("shows the secret (%s): %s", shape, out)
		}
	}
}

func TestSecretIsMarshalledAsRedacted(t *testing.T) {
	t.Parallel()
	s := token.NewSecret(canary)
	type document struct {
		XMLName xml.Name               `json:"-"               xml:"document"`
		Attr    token.Secret           `json:"attr"            xml:"attr,attr"`
		Elem    token.Secret           `json:"elem"            xml:"elem"`
		Chars   token.Secret           `json:"chars"           xml:",chardata"`
		Ptr     *token.Secret          `json:"ptr,omitempty"   xml:"ptr"`
		List    []token.Secret         `json:"list"            xml:"list>one"`
		Values  map[string]any         `json:"values"          xml:"-"`
		Token   token.Token            `json:"token"           xml:"token"`
		Raw     encoding.TextMarshaler `json:"raw"             xml:"-"`
	}
	d := document{
		Attr: s, Elem: s, Chars: s, Ptr: &s, List: []token.Secret{s},
		Values: map[string]any{"secret": s}, Token: token.Token{AccessToken: s}, Raw: s,
	}
	for name, marshal := range map[string]func() ([]byte, error){
		"json":        func() ([]byte, error) { return json.Marshal(d) },
		"json indent": func() ([]byte, error) { return json.MarshalIndent(&d, "", " ") },
		"xml":         func() ([]byte, error) { return xml.Marshal(d) },
		"text":        s.MarshalText,
	} {
		out, err := marshal()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if shape := leaks(string(out)); shape != "" {
			t.Errorf("%s shows the secret (%s): %s", name, shape, out)
		}
		if !bytes.Contains(out, []byte("[redacted]")) {
			t.Errorf("%s does not say that something is left out: %s", name, out)
		}
	}
}

// Gob writes exported fields alone, and a Secret has none.
func TestSecretIsNotEncodedByGob(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(token.NewSecret(canary)); err == nil {
		t.Error("gob encodes a secret")
	}
	if shape := leaks(b.String()); shape != "" {
		t.Errorf("gob shows the secret (%s)", shape)
	}
}

func TestSecretIsLoggedAsRedacted(t *testing.T) {
	t.Parallel()
	s := token.NewSecret(canary)
	h := filled()
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		l := slog.New(handler(&b))
		l.With("with", s).WithGroup("g").Info("message",
			"bare", s, "pointer", &s, "struct", h, "struct_pointer", &h, "map", h.Map, "slice", h.List, "any", slog.AnyValue(s),
			slog.Group("group", "inner", s), "error", fmt.Errorf("with %v", s), "token", h.Token, "record", &h.Record)
		l.Info(fmt.Sprintf("%v %+v", s, h))
		if shape := leaks(b.String()); shape != "" {
			t.Errorf("%s shows the secret (%s): %s", name, shape, b.String())
		}
		if !strings.Contains(b.String(), "[redacted]") || !strings.Contains(b.String(), "kept") {
			t.Errorf("%s lost what may be seen: %s", name, b.String())
		}
	}
}

func TestSecretIsRevealedOnRequest(t *testing.T) {
	t.Parallel()
	s := token.NewSecret(canary)
	if s.Reveal() != canary {
		t.Error("Reveal returns something else")
	}
	if s.Sum() != sha256.Sum256([]byte(canary)) {
		t.Error("Sum is not the SHA-256")
	}
	if s.IsEmpty() || !(token.Secret{}).IsEmpty() || !token.NewSecret("").IsEmpty() {
		t.Error("IsEmpty is wrong")
	}
}

func TestSecretEqual(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {canary, canary, true}, {canary, "", false}, {"", canary, false},
		{canary, canary + "x", false}, {canary, canary[:len(canary)-1], false}, {"abc", "abd", false}, {"abc", "ABC", false},
	} {
		a, b := token.NewSecret(c.a), token.NewSecret(c.b)
		if a.Equal(b) != c.want {
			t.Errorf("%q and %q: Equal is %t", c.a, c.b, a.Equal(b))
		}
	}
}
