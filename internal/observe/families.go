package observe

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	gauge   = "gauge"
	counter = "counter"
)

// providerFamily is a metric with one series per provider.
type providerFamily struct {
	name, help string
	value      func(p *provider) (v float64, ok bool)
}

func providerFamilies() []providerFamily {
	return []providerFamily{
		{"tokend_provider_requests_in_flight", "Tokens whose attempt, or the saving of whose record, is under way.", func(p *provider) (float64, bool) { return float64(p.inFlight), true }},
		{"tokend_provider_tokens_due", "Tokens that are due and wait for their turn, as where the provider's limits or a pause hold them back.", func(p *provider) (float64, bool) { return float64(p.due), true }},
		{"tokend_provider_tokens_late", "Tokens that are valid, though half of the time between their planned refresh and their expiry has passed.", func(p *provider) (float64, bool) { return float64(p.late), true }},
		{"tokend_provider_earliest_expiry_timestamp_seconds", "When the first of the tokens that are valid expires; absent when none is.", func(p *provider) (float64, bool) {
			return seconds(p.earliest), !p.earliest.IsZero()
		}},
		{"tokend_provider_sinks", "Sinks of the provider's tokens.", func(p *provider) (float64, bool) { return float64(p.sinks), true }},
		{"tokend_provider_sinks_behind", "Sinks that do not hold their token's current generation.", func(p *provider) (float64, bool) { return float64(p.behind), true }},
		{"tokend_provider_sinks_failing", "Sinks whose last write failed.", func(p *provider) (float64, bool) { return float64(p.failing), true }},
	}
}

// tokenFamily is a metric with one series per token.
type tokenFamily struct {
	name, help string
	value      func(r *row, now time.Time) (v float64, ok bool)
}

func tokenFamilies() []tokenFamily {
	return []tokenFamily{
		{"tokend_token_valid", "Whether there is an access token that has not expired.", func(r *row, now time.Time) (float64, bool) { return flag(now.Before(r.ExpiresAt)), true }},
		{"tokend_token_expiry_timestamp_seconds", "When the access token expires; absent before the first.", func(r *row, _ time.Time) (float64, bool) {
			return seconds(r.ExpiresAt), !r.ExpiresAt.IsZero()
		}},
		{"tokend_token_issued_timestamp_seconds", "When the access token was asked for: the last refresh or login that succeeded, restarts included.", func(r *row, _ time.Time) (float64, bool) {
			return seconds(r.IssuedAt), !r.IssuedAt.IsZero()
		}},
		{"tokend_token_refresh_due_timestamp_seconds", "When the access token is to be replaced, as planned when it came; retries do not move it.", func(r *row, _ time.Time) (float64, bool) {
			return seconds(r.Due), !r.Due.IsZero()
		}},
		{"tokend_token_next_attempt_timestamp_seconds", "When the next request is planned; absent while one is under way, and when none is.", func(r *row, _ time.Time) (float64, bool) {
			return seconds(r.NextAttempt), !r.NextAttempt.IsZero()
		}},
		{"tokend_token_generation", "Counts up by one with every new access token, restarts included.", func(r *row, _ time.Time) (float64, bool) { return float64(r.Generation), true }},
		{"tokend_token_consecutive_failures", "Attempts that failed since the last that succeeded.", func(r *row, _ time.Time) (float64, bool) { return float64(r.Failures), true }},
		{"tokend_token_needs_human", "Whether only a person can obtain the next access token.", func(r *row, _ time.Time) (float64, bool) { return flag(r.State == token.StateHuman), true }},
		{"tokend_token_hook_failing", "Whether the last run of the on_update command failed; absent without one.", func(r *row, _ time.Time) (float64, bool) {
			return flag(r.Hook != nil && r.Hook.LastError != nil), r.Hook != nil
		}},
		{"tokend_token_probe_success", "Whether the resource took the token when it was last asked; absent before, and without a probe.", func(r *row, _ time.Time) (float64, bool) {
			return flag(r.Probe != nil && r.Probe.OK && r.Probe.LastError == nil), r.Probe != nil && !r.Probe.At.IsZero()
		}},
	}
}

// sinkFamily is a metric with one series per sink.
type sinkFamily struct {
	name, help string
	value      func(s *sinkRow) (v float64, ok bool)
}

func sinkFamilies() []sinkFamily {
	return []sinkFamily{
		{"tokend_token_sink_generation", "The generation that the sink holds; 0 when none is known.", func(s *sinkRow) (float64, bool) { return float64(s.Generation), true }},
		{"tokend_token_sink_expiry_timestamp_seconds", "When what the sink holds expires; absent when that is not known.", func(s *sinkRow) (float64, bool) {
			return seconds(s.expires), !s.expires.IsZero()
		}},
		{"tokend_token_sink_failing", "Whether the last write of the sink failed.", func(s *sinkRow) (float64, bool) { return flag(s.LastError != nil), true }},
	}
}

// tokens writes every series of every token.
func (x *exposition) tokens(rows []row, now time.Time) {
	for _, f := range tokenFamilies() {
		x.family(f.name, gauge, f.help)
		for i := range rows {
			if v, ok := f.value(&rows[i], now); ok {
				x.sample(rows[i].labels, v)
			}
		}
	}
	x.family("tokend_token_requests_total", counter, "Token requests, by what became of them. Successes are always there, failures from the first.")
	for i := range rows {
		x.requests(&rows[i])
	}
	for _, f := range sinkFamilies() {
		x.family(f.name, gauge, f.help)
		for i := range rows {
			for j := range rows[i].sinks {
				if v, ok := f.value(&rows[i].sinks[j]); ok {
					x.sample(rows[i].sinks[j].labels, v)
				}
			}
		}
	}
	x.family("tokend_token_sink_writes_total", counter, "Writes of the sink, by what became of them: written, unchanged (it held the token already), repaired (a foreign change was put back) or failed. The first is always there, others from the first.")
	for i := range rows {
		for j := range rows[i].sinks {
			x.writes(&rows[i].sinks[j])
		}
	}
}

func (x *exposition) requests(r *row) {
	for k := range requestKinds {
		for result, n := range r.requests[k] {
			if n > 0 || result == 0 {
				x.sample(string(pairs(r.labels).add("kind", k.String()).add("result", resultName(result))), float64(n))
			}
		}
	}
}

func (x *exposition) writes(s *sinkRow) {
	for w, n := range s.writes {
		if n > 0 || writeResult(w) == written {
			x.sample(string(pairs(s.labels).add("result", writeResult(w).String())), float64(n))
		}
	}
}

// providers writes the sums of every provider.
func (x *exposition) providers(all []*provider) {
	x.family("tokend_tokens", gauge, "Tokens, by state; the states are those of the status.")
	for _, p := range all {
		for _, state := range states() {
			x.sample(string(pairs(nil).add("provider", p.name).add("state", string(state))), float64(p.states[state]))
		}
	}
	for _, f := range providerFamilies() {
		x.family(f.name, gauge, f.help)
		for _, p := range all {
			if v, ok := f.value(p); ok {
				x.sample(string(pairs(nil).add("provider", p.name)), v)
			}
		}
	}
}

func states() []token.State {
	return []token.State{token.StatePending, token.StateFresh, token.StateRetrying, token.StateExpired, token.StateHuman, token.StateStandby}
}
