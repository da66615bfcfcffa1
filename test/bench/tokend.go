package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
	"github.com/tokend-project/tokend/test/bench/internal/watchdog"
)

// tokend is the daemon itself, a binary.
type tokend struct{ binary string }

func (tokend) name() string { return "tokend" }

func (t tokend) command(st *stage) ([]string, error) {
	if err := writeFleet(st, -1); err != nil {
		return nil, err
	}
	if err := os.WriteFile(st.config(), []byte(tokendConfig(st)), 0o600); err != nil {
		return nil, fmt.Errorf("writing tokend's config: %w", err)
	}
	return []string{t.binary, "run", "--config", st.config()}, nil
}

func (st *stage) config() string { return filepath.Join(st.folder, "tokend.hcl") }
func (st *stage) fleet() string  { return filepath.Join(st.folder, "fleet.json") }
func (st *stage) socket() string { return filepath.Join(st.folder, "control.sock") }

// lead is what remains of a token when the plain loop refreshes it.
func lead(lifetime time.Duration) time.Duration { return lifetime / 4 }

func tokendConfig(st *stage) string {
	limits := fmt.Sprintf("concurrency = %d", st.settings.inFlight)
	if st.rate > 0 {
		limits += fmt.Sprintf("\n    rate        = %d", st.rate)
	}
	grant := fmt.Sprintf("grant %q {}", st.settings.grant)
	if st.settings.grant == "password" {
		grant = "grant \"password\" {\n      username = token.key\n      password = \"bench\"\n    }"
	}
	level, http := "warn", ""
	if st.http != "" {
		level, http = "info", fmt.Sprintf("http {\n  address = %q\n}\n", st.http)
		if st.perToken {
			http += "metrics {\n  per_token = true\n}\n"
		}
	}
	return fmt.Sprintf(`%sstate "file" {
  path = %q
}
control {
  socket = %q
}
log {
  level = %q
}
provider "bench" {
  token_endpoint = %q
  client_secret  = %q
  timeout        = %q
  schedule {
    refresh_at   = 0.75
    lead         = %q
    min_interval = "1s"
  }
  limits {
    %s
  }
}
dynamic "token" {
  for_each = { for t in jsondecode(file(%q)) : t.name => t }
  labels   = [token.key]
  content {
    provider  = "bench"
    client_id = token.value.client
    %s
    sink "file" {
      path = "%s/${token.key}"
    }
  }
}
`, http, filepath.Join(st.folder, "state"), st.socket(), level, st.tokenURL(), tokenserver.ClientSecret, st.settings.timeout,
		lead(st.lifetime), limits, st.fleet(), grant, st.sinks())
}

// writeFleet lists the tokens and their clients. The token changed, if it is one
// of them, gets another client, and so must log in anew.
func writeFleet(st *stage, changed int) error {
	type member struct {
		Name   string `json:"name"`
		Client string `json:"client"`
	}
	fleet := make([]member, st.tokens)
	for i := range fleet {
		fleet[i] = member{watchdog.FileName(i), watchdog.FileName(i)}
	}
	if changed >= 0 && changed < len(fleet) {
		fleet[changed].Client += ".b"
	}
	content, err := json.Marshal(fleet)
	if err != nil {
		return fmt.Errorf("listing the fleet: %w", err)
	}
	if err := os.WriteFile(st.fleet(), content, 0o600); err != nil {
		return fmt.Errorf("listing the fleet: %w", err)
	}
	return nil
}

// build makes the binary that is measured, as users get it.
func build(ctx context.Context, repo, folder string) (string, error) {
	binary := filepath.Join(folder, "tokend")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/tokend")
	cmd.Dir = repo
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tokend: %w\n%s", err, out)
	}
	return binary, nil
}

// daemonStatus is what of `tokend status --output json` is looked at.
type daemonStatus struct {
	Delivery struct {
		Count uint64  `json:"count"`
		P50   float64 `json:"p50_ms"`
		P90   float64 `json:"p90_ms"`
		P99   float64 `json:"p99_ms"`
	} `json:"delivery"`
	Tokens []struct {
		Name        string    `json:"name"`
		State       string    `json:"state"`
		Generation  uint64    `json:"generation"`
		NextAttempt time.Time `json:"next_attempt"`
		Sinks       []struct {
			Generation uint64 `json:"generation"`
		} `json:"sinks"`
	} `json:"tokens"`
}

func (t tokend) status(ctx context.Context, st *stage) (daemonStatus, error) {
	var status daemonStatus
	cmd := exec.CommandContext(ctx, t.binary, "status", "--output", "json", "--socket", st.socket())
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if len(out) == 0 && err != nil {
		return status, fmt.Errorf("asking tokend for its status: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return status, fmt.Errorf("decoding tokend's status: %w", err)
	}
	return status, nil
}

// plans asks tokend when it is going to refresh each token.
func (t tokend) plans(ctx context.Context, st *stage) (plans, error) {
	p := plans{asked: time.Now().UnixNano(), next: make([]int64, st.tokens)}
	status, err := t.status(ctx, st)
	p.told = time.Now().UnixNano()
	for _, tok := range status.Tokens {
		i, bad := strconv.Atoi(strings.TrimPrefix(tok.Name, "client-"))
		if bad == nil && i >= 0 && i < len(p.next) && !tok.NextAttempt.IsZero() {
			p.next[i] = tok.NextAttempt.UnixNano()
		}
	}
	return p, err
}

// reconciled reports whether every token is fresh and its sink holds the current
// generation.
func (s daemonStatus) reconciled(tokens int) bool {
	for _, tok := range s.Tokens {
		if tok.State != "fresh" || len(tok.Sinks) != 1 || tok.Generation == 0 || tok.Sinks[0].Generation != tok.Generation {
			return false
		}
	}
	return len(s.Tokens) == tokens
}
