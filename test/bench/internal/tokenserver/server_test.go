package tokenserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

type answered struct {
	status int
	header http.Header
	body   string
}

func post(t *testing.T, s *Server, id, secret string, form url.Values) (answered, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Address()+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(body)}, err
}

func start(t *testing.T) *Server {
	t.Helper()
	s, err := New(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		s.Close()
	})
	return s
}

var login = url.Values{"grant_type": {"client_credentials"}}

func TestServerIssuesTokensThatSayWhoseTheyAre(t *testing.T) {
	s := start(t)
	for serial := int32(1); serial <= 2; serial++ {
		a, err := post(t, s, "client-7", ClientSecret, login)
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("answer %+v, %v", a, err)
		}
		_, rest, _ := strings.Cut(a.body, `"access_token":"`)
		spelled, _, _ := strings.Cut(rest, `"`)
		got, ok := ParseAccessToken(spelled)
		left := time.Until(time.Unix(0, got.Expires))
		if !ok || got.Token != 7 || got.Serial != serial || left > time.Minute || left < 50*time.Second {
			t.Errorf("token %q parsed as %+v, %v", spelled, got, ok)
		}
	}
	if c := s.Counts(); c.Requests != 2 || c.Clients != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestServerRefusesWrongCredentialsAndGrants(t *testing.T) {
	s := start(t)
	for _, tc := range []struct {
		name, id, secret string
		form             url.Values
		status           int
	}{
		{"wrong secret", "client-1", "guess", login, http.StatusUnauthorized},
		{"no client of ours", "someone", ClientSecret, login, http.StatusUnauthorized},
		{"unknown grant", "client-1", ClientSecret, url.Values{"grant_type": {"magic"}}, http.StatusBadRequest},
		{"refresh token of nobody", "client-1", ClientSecret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, http.StatusBadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := post(t, s, tc.id, tc.secret, tc.form)
			if err != nil || a.status != tc.status {
				t.Errorf("answer %+v, %v, want status %d", a, err, tc.status)
			}
		})
	}
}

func TestRefreshTokenIsGoodForOneUse(t *testing.T) {
	s := start(t)
	if a, err := post(t, s, "client-3", ClientSecret, url.Values{"grant_type": {"password"}}); err != nil || !strings.Contains(a.body, "renew.3.1") {
		t.Fatalf("login answered %+v, %v", a, err)
	}
	first := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"renew.3.1"}}
	if a, err := post(t, s, "client-3", ClientSecret, first); err != nil || !strings.Contains(a.body, "renew.3.2") {
		t.Fatalf("first refresh answered %+v, %v", a, err)
	}
	if a, err := post(t, s, "client-3", ClientSecret, first); err != nil || a.status != http.StatusBadRequest {
		t.Errorf("second use answered %+v, %v", a, err)
	}
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode    Mode
		status  int
		failure error
		outcome Outcome
	}{
		{Mode{Name: ModeRefused}, 0, syscall.ECONNREFUSED, 0},
		{Mode{Name: ModeReset}, 0, syscall.ECONNRESET, Reset},
		{Mode{Name: ModeHang}, 0, context.DeadlineExceeded, Hung},
		{Mode{Name: ModeUnavailable}, http.StatusServiceUnavailable, nil, Unavailable},
		{Mode{Name: ModeOK, Latency: 50 * time.Millisecond}, http.StatusOK, nil, Issued},
	} {
		t.Run(tc.mode.Name, func(t *testing.T) {
			s := start(t)
			if err := s.SetMode(tc.mode); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			a, err := post(t, s, "client-1", ClientSecret, login)
			if a.status != tc.status || !errors.Is(err, tc.failure) {
				t.Errorf("answer %+v, error %v", a, err)
			}
			if took := time.Since(began); took < tc.mode.Latency {
				t.Errorf("answered after %v", took)
			}
			if events := s.ledger.since(0); tc.outcome != 0 && (len(events) != 1 || events[0].Outcome != tc.outcome) {
				t.Errorf("ledger %+v", events)
			}
			if err := s.SetMode(Mode{Name: ModeOK}); err != nil {
				t.Fatal(err)
			}
			if a, err := post(t, s, "client-1", ClientSecret, login); err != nil || a.status != http.StatusOK {
				t.Errorf("after the outage: %+v, %v", a, err)
			}
		})
	}
}

func TestLimitCountsWithinASecond(t *testing.T) {
	l := newLedger()
	second := time.Unix(1000, 0)
	for i, want := range []bool{true, true, false, false} {
		if got := l.allow(second.Add(time.Duration(i)*time.Millisecond), 2); got != want {
			t.Errorf("request %d allowed: %v", i, got)
		}
	}
	if !l.allow(second.Add(time.Second), 2) {
		t.Error("the next second began with a refusal")
	}
}

func TestLimitedAnswersWithRetryAfter(t *testing.T) {
	s := start(t)
	if err := s.SetMode(Mode{Name: ModeLimited}); err == nil {
		t.Error("a limit without a rate was accepted")
	}
	if err := s.SetMode(Mode{Name: ModeLimited, Rate: 1}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // of three in a row, two at least share a second
		a, err := post(t, s, "client-1", ClientSecret, login)
		if err != nil {
			t.Fatal(err)
		}
		if a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "1" {
			return
		}
	}
	t.Error("no request was limited")
}

func TestAdminCarriesTheLedger(t *testing.T) {
	s := start(t)
	admin := httptest.NewServer(s.Admin())
	defer admin.Close()
	c := NewClient(strings.TrimPrefix(admin.URL, "http://"))
	if err := c.SetMode(t.Context(), Mode{Name: "sulk"}); err == nil {
		t.Error("an unknown mode was accepted")
	}
	if err := c.SetMode(t.Context(), Mode{Name: ModeUnavailable}); err != nil {
		t.Fatal(err)
	}
	if _, err := post(t, s, "client-1", ClientSecret, login); err != nil {
		t.Fatal(err)
	}
	if err := c.SetMode(t.Context(), Mode{Name: ModeOK}); err != nil {
		t.Fatal(err)
	}
	if _, err := post(t, s, "client-2", ClientSecret, login); err != nil {
		t.Fatal(err)
	}
	events, err := c.Events(t.Context(), 1)
	if err != nil || len(events) != 1 || events[0].Token != 2 || events[0].Outcome != Issued || events[0].Serial != 1 {
		t.Errorf("events %+v, %v", events, err)
	}
	counts, err := c.Counts(t.Context())
	if err != nil || counts != (Counts{Requests: 2, Clients: 1}) {
		t.Errorf("counts %+v, %v", counts, err)
	}
}

func TestParseAccessTokenRefusesWhatWasCutShort(t *testing.T) {
	whole := AccessToken{Token: 12, Serial: 3, Expires: 1_700_000_000_000_000_000}.String()
	if _, ok := ParseAccessToken(whole + "\n"); !ok {
		t.Errorf("%q was refused", whole)
	}
	for cut := range len(whole) {
		if got, ok := ParseAccessToken(whole[:cut]); ok {
			t.Errorf("%q was taken for %+v", whole[:cut], got)
		}
	}
}

func TestClientNumber(t *testing.T) {
	for id, want := range map[string]int32{"client-0": 0, "client-41": 41, "client-41.b": 41, "client-": -1, "client--1": -1, "other-1": -1, "": -1} {
		if got := ClientNumber(id); got != want {
			t.Errorf("ClientNumber(%q) = %d, want %d", id, got, want)
		}
	}
}
