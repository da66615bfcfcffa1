package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// Call does a request with the root token and returns the answer's data, or the
// whole answer where it has none. The path is without "/v1/". A status of 400
// and above is an error with Vault's words, except for 404, which is an empty
// answer.
func (s *Server) Call(ctx context.Context, method, path string, body any) (map[string]any, error) {
	return s.CallAs(ctx, s.RootToken, method, path, body)
}

// CallAs is Call with another token.
func (s *Server) CallAs(ctx context.Context, token, method, path string, body any) (map[string]any, error) {
	answer, err := s.exchange(ctx, token, nil, method, path, body)
	if data, ok := answer["data"].(map[string]any); ok {
		return data, err
	}
	return answer, err
}

func (s *Server) exchange(ctx context.Context, token string, header http.Header, method, path string, body any) (map[string]any, error) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Address+"/v1/"+path, bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("X-Vault-Token", token)
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusBadRequest && resp.StatusCode != http.StatusNotFound {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	var fields map[string]any
	if len(answer) > 0 && json.Unmarshal(answer, &fields) != nil {
		return nil, fmt.Errorf("%s %s: no JSON in the answer", method, path)
	}
	return fields, nil
}

// control asks the server's second port, which nothing is counted at.
func (s *Server) control(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.running().at.Control+path, nil)
	if err != nil {
		return fmt.Errorf("control Vault: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("control Vault: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("control Vault: %s", resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// Do is Call for a test, which an error ends.
func (s *Server) Do(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	s.need(t)
	answer, err := s.Call(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// Count returns how many requests since the server's last start had a method
// and path, such as "PUT /v1/secret/data/a", that begin with prefix.
func (s *Server) Count(t testing.TB, prefix string) int {
	t.Helper()
	s.need(t)
	seen, err := s.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for what, count := range seen {
		if strings.HasPrefix(what, prefix) {
			n += count
		}
	}
	return n
}

// LoseAnswers lets Vault do the next count requests whose method and path begin
// with prefix, such as "PUT /v1/secret/data/a", and ends their connections or
// streams before an answer.
func (s *Server) LoseAnswers(t testing.TB, prefix string, count int) {
	t.Helper()
	s.fault(t, "lose-answer", prefix, count)
}

// LoseRequests ends the connections of the next count such requests before Vault
// sees them.
func (s *Server) LoseRequests(t testing.TB, prefix string, count int) {
	t.Helper()
	s.fault(t, "lose-request", prefix, count)
}

// HoldAnswers lets Vault do the next count such requests, and holds the answers
// until release is called. It lets all go that is held on the server.
func (s *Server) HoldAnswers(t testing.TB, prefix string, count int) (release func()) {
	t.Helper()
	s.fault(t, "hold-answer", prefix, count)
	return func() { s.release(t) }
}

// HoldRequests holds the next count such requests before Vault sees them, until
// release is called. It lets all go that is held on the server.
func (s *Server) HoldRequests(t testing.TB, prefix string, count int) (release func()) {
	t.Helper()
	s.fault(t, "hold-request", prefix, count)
	return func() { s.release(t) }
}

func (s *Server) release(t testing.TB) {
	t.Helper()
	if err := s.control(t.Context(), http.MethodPost, "/release", nil); err != nil {
		t.Error(err)
	}
}

func (s *Server) fault(t testing.TB, kind, prefix string, count int) {
	t.Helper()
	s.need(t)
	form := url.Values{"kind": {kind}, "prefix": {prefix}, "count": {strconv.Itoa(count)}}
	if err := s.control(t.Context(), http.MethodPost, "/fault?"+form.Encode(), nil); err != nil {
		t.Fatal(err)
	}
}
