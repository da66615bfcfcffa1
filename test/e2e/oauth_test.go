package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// client is an OAuth client as a server registers it.
type client struct {
	id, secret string
}

// answer is a token response, or an error response where err is not empty.
type answer struct {
	AccessToken  string  `json:"access_token"`
	RefreshToken string  `json:"refresh_token"`
	ExpiresIn    float64 `json:"expires_in"`
	Scope        string  `json:"scope"`
	Error        string  `json:"error"`
	Active       bool    `json:"active"`
	status       int
}

// httpClient waits for nothing for long and follows no redirect.
func httpClient() *http.Client {
	return &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a form, with the client's credentials by Basic as RFC 6749 section
// 2.3.1 has them: form-encoded first.
func post(ctx context.Context, target string, c client, form url.Values) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.id != "" {
		req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	}
	resp, err := httpClient().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode}
	if len(body) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("read the answer of %s: %w", target, err)
	}
	return a, nil
}

func (c client) post(t *testing.T, target string, form url.Values) answer {
	t.Helper()
	return must(post(t.Context(), target, c, form))(t)
}

// oddClient has a secret that means another one where it is not form-encoded.
func oddClient() client { return client{"app", "p@ss:w%rd+&="} }
