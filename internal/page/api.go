package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/token"
)

type api struct {
	source   Source
	timeline *Timeline
	feed     *feed
}

// daemon is what is shown of the daemon itself. Why a configuration does not run
// is said in words that quote nothing of it: it may hold secrets.
type daemon struct {
	Version   string                `json:"version"`
	StartedAt time.Time             `json:"started_at"`
	Config    config                `json:"config"`
	State     state                 `json:"state"`
	HA        *control.HAStatus     `json:"ha,omitempty"`
	Delivery  control.DeliveryStats `json:"delivery"`
}

type config struct {
	LoadedAt time.Time      `json:"loaded_at"`
	Problem  *token.Problem `json:"problem,omitempty"`
	Warnings int            `json:"warnings"`
}

type state struct {
	Kind   string `json:"kind"`
	Sealed bool   `json:"sealed"`
}

// snapshot is the daemon with its tokens, every problem explained.
func snapshot(s Source) (daemon, []token.Status) {
	status := s.Status()
	problem.Annotate(status.Tokens)
	d := daemon{
		Version: status.Version, StartedAt: status.StartedAt, HA: status.HA, Delivery: status.Delivery,
		Config: config{LoadedAt: status.Config.LoadedAt, Warnings: status.Config.Warnings},
		State:  state{Kind: status.State.Kind, Sealed: status.State.Sealed},
	}
	if p := status.Config.Error; p != nil {
		d.Config.Problem = &token.Problem{At: p.At, Code: "config", Message: "the newest configuration has faults; tokend validate shows them"}
	}
	if status.Tokens == nil {
		status.Tokens = []token.Status{}
	}
	return d, status.Tokens
}

func (a *api) tokens(w http.ResponseWriter, r *http.Request) {
	// Read before the statuses are: what is answered is at least as new.
	w.Header().Set("Tokend-Revision", strconv.FormatUint(a.feed.now(), 10))
	d, all := snapshot(a.source)
	answer(w, r, struct {
		Daemon daemon         `json:"daemon"`
		Tokens []token.Status `json:"tokens"`
	}{d, all})
}

func (a *api) token(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	_, all := snapshot(a.source)
	i, ok := slices.BinarySearchFunc(all, name, func(s token.Status, name string) int { return strings.Compare(s.Name, name) })
	if !ok {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": "unknown_token", "message": "no token of this name is configured"}})
		return
	}
	answer(w, r, struct {
		token.Status
		Timeline []Moment `json:"timeline"`
	}{all[i], a.timeline.Of(name)})
}

// answer sends v as JSON, or nothing to a reader who has it already (RFC 9110
// section 13.1.2).
func answer(w http.ResponseWriter, r *http.Request, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	if err := e.Encode(v); err != nil {
		http.Error(w, "the status cannot be encoded", http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(b.Bytes())
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	if known(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
}

// known compares weakly, as a cache's question is to be (RFC 9110 section 8.8.3.2).
func known(asked, tag string) bool {
	for one := range strings.SplitSeq(asked, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}
