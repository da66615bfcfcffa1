package endpoint

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Client sends token requests to one token endpoint. It is safe for concurrent
// use and holds no goroutine; a connection that is not used again within
// [idleTimeout] is closed.
type Client struct {
	timeout   time.Duration
	templates map[string]*template
	response  Response
	dialer    *dialer
	pool      *pool

	interrupts interrupts
}

// Params are what one token request says.
type Params struct {
	GrantType    string
	ClientID     string // empty: no client authentication is sent
	ClientSecret token.Secret
	// Values are the grant's own parameters, such as username, scope or
	// refresh_token. One without a value is sent without a value.
	Values map[string]token.Secret
}

// New builds a client. It reads the TLS files and makes no request. Its error
// names what is wrong with the configuration, and no secret.
func New(c Config) (*Client, error) {
	target, err := parseEndpoint(c.TokenEndpoint, c.AllowInsecureHTTP)
	if err != nil {
		return nil, fmt.Errorf("read token_endpoint: %w", err)
	}
	templates, err := newTemplates(target, c.Requests)
	if err != nil {
		return nil, err
	}
	d, err := newDialer(target, c.TLS)
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Concurrency <= 0 {
		c.Concurrency = defaultConcurrency
	}
	return &Client{
		timeout:   c.Timeout,
		templates: templates,
		response:  c.Response.withDefaults(),
		dialer:    d,
		pool:      newPool(c.Concurrency),
	}, nil
}

func newTemplates(target *url.URL, requests map[string]Request) (map[string]*template, error) {
	templates := make(map[string]*template, len(requests)+1)
	for grantType, r := range requests {
		t, err := newTemplate(target, r.withDefaults())
		if err != nil {
			return nil, fmt.Errorf("prepare request %q: %w", grantType, err)
		}
		templates[grantType] = t
	}
	if templates[""] == nil {
		t, err := newTemplate(target, Request{}.withDefaults())
		if err != nil {
			return nil, fmt.Errorf("prepare request: %w", err)
		}
		templates[""] = t
	}
	return templates, nil
}

// Close drops the idle connections, and those in use once they have brought
// their answer. A Send after Close works, over a connection of its own.
func (c *Client) Close() { c.pool.close() }

// Send makes exactly one token request and returns what it brought. It ends
// with ctx, or after the configured timeout.
//
// Its error is a *[token.Failure], which says what the failure means for a
// refresh token that was sent. The Answer beside an error holds a salvaged
// RefreshToken, or nothing.
func (c *Client) Send(ctx context.Context, p Params) (token.Answer, error) {
	t := c.templates[p.GrantType]
	if t == nil {
		t = c.templates[""]
	}
	request := getBuffer()
	defer request.release()
	if err := t.encode(request, p); err != nil {
		return token.Answer{}, &token.Failure{Class: token.NotSent, Reason: "request", Err: err}
	}
	body := getBuffer()
	defer body.release()
	r, failure := c.exchange(ctx, t, request.b, body)
	if failure != nil {
		return token.Answer{}, failure
	}
	answer, failure := c.judge(t, p, r)
	if failure != nil {
		return answer, failure
	}
	return answer, nil
}

func (c *Client) judge(t *template, p Params, r *response) (token.Answer, *token.Failure) {
	j := judge{
		names:   c.response,
		refresh: p.GrantType == "refresh_token",
		scope:   p.Values["scope"].Reveal(),
		hidden:  func() []string { return t.secrets(p) },
	}
	return j.judge(r)
}
