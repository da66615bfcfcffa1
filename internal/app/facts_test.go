package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/config"
)

// certificate is a PEM block that ends at an instant.
func certificate(t *testing.T, end time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestEndsOfCertificates(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	soon, late := time.Now().Add(time.Hour).UTC().Truncate(time.Second), time.Now().Add(48*time.Hour).UTC().Truncate(time.Second)
	const key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	both := h.write(t, "both.pem", key+certificate(t, late)+certificate(t, soon))
	damaged := h.write(t, "damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"+certificate(t, soon))
	for name, c := range map[string]struct {
		tls  config.TLS
		want ends
	}{
		"no tls files":                       {config.TLS{}, ends{}},
		"a client's chain: its own":          {config.TLS{CertFile: both}, ends{client: late}},
		"several authorities: the first end": {config.TLS{CAFile: both}, ends{ca: soon}},
		"one that is damaged is passed over": {config.TLS{CAFile: damaged}, ends{ca: soon}},
		"files that are gone, or hold none":  {config.TLS{CAFile: h.path("none.pem"), CertFile: h.write(t, "empty.pem", key)}, ends{}},
	} {
		if got := endsOf(c.tls); !got.client.Equal(c.want.client) || !got.ca.Equal(c.want.ca) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestConfigHashCoversWhatIsKeptAndNoSecret(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hash := func(provider string, tokens ...string) string {
		return configHash(slices.Collect(maps.Values(h.specs(t, h.config(t, "c.hcl", provider, tokens...), []byte("salt")))))
	}
	ann, ben := h.person("ann", ""), h.person("ben", "")
	was := hash("", ann, ben)
	if was == "" || hash("", ben, ann) != was {
		t.Errorf("the order of tokens matters: %q", was)
	}
	if got := hash("", strings.Replace(ann, `"pw"`, `"another"`, 1), ben); got != was {
		t.Error("a password can be guessed by the hash")
	}
	for what, got := range map[string]string{
		"a token less":     hash("", ann),
		"another user":     hash("", strings.Replace(ann, `username = "ann"`, `username = "amy"`, 1), ben),
		"another place":    hash("", strings.Replace(ann, "out/ann", "out/amy", 1), ben),
		"another schedule": hash("schedule {\n lead = \"77s\"\n}", ann, ben),
		"another cron":     hash("schedule {\n cron = [\"55 1 * * *\"]\n}", ann, ben),
		"and another":      hash("schedule {\n cron = [\"56 1 * * *\"]\n}", ann, ben),
	} {
		if got == was {
			t.Errorf("%s is not seen", what)
		}
	}
	one, two := hash("schedule {\n cron = [\"55 1 * * *\"]\n}", ann), hash("schedule {\n cron = [\"55 1 * * *\"]\n}", ann)
	if one != two {
		t.Error("two processes have two hashes of one schedule")
	}
}

func TestMetricsFollowAReload(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	address := freeAddress(t)
	block := fmt.Sprintf("http {\n address = %q\n}", address)
	path := h.config(t, "c.hcl", "", h.person("ann", ""), block)
	a := h.open(t, path)
	h.run(t, a)
	before := fetch(t, "http://"+address+"/metrics")
	for _, want := range []string{
		`tokend_build_info{goversion=`, "tokend_config_last_reload_successful 1\n", `tokend_token_valid{token="ann",provider="as"} 1`,
		`tokend_token_sink_generation{token="ann",provider="as",sink="file",target="` + h.path("out/ann") + `"} 1`,
		`tokend_provider_requests_total{kind="login",provider="as",result="success"} 1`, "go_goroutines ", "process_start_time_seconds ",
	} {
		if !strings.Contains(before, want) {
			t.Errorf("there is no %s", want)
		}
	}

	h.config(t, "c.hcl", "", h.person("ann", ""), block, "tokem {}")
	_ = a.Reload(t.Context())
	if text := fetch(t, "http://"+address+"/metrics"); !strings.Contains(text, "tokend_config_last_reload_successful 0\n") || hashIn(text) != hashIn(before) {
		t.Errorf("a configuration was refused, and the metrics say %q, %s", hashIn(text), hashIn(before))
	}
	h.config(t, "c.hcl", "", h.person("ben", ""), block)
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := fetch(t, "http://"+address+"/metrics")
	if !strings.Contains(text, "tokend_config_last_reload_successful 1\n") || hashIn(text) == hashIn(before) || strings.Contains(text, `token="ann"`) || !strings.Contains(text, `token="ben"`) {
		t.Errorf("after a good one they say %q", hashIn(text))
	}
}

func hashIn(metrics string) string {
	_, rest, _ := strings.Cut(metrics, `tokend_config_info{hash="`)
	hash, _, _ := strings.Cut(rest, `"`)
	return hash
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}
