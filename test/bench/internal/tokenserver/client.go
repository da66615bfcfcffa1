package tokenserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Client steers a server process over its admin interface.
type Client struct{ base string }

// NewClient returns a client of the admin interface at address, host:port.
func NewClient(address string) *Client { return &Client{base: "http://" + address} }

// SetMode changes how the server behaves.
func (c *Client) SetMode(ctx context.Context, m Mode) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the mode: %w", err)
	}
	_, err = c.do(ctx, http.MethodPut, "/mode", body)
	return err
}

// Counts returns what the server has seen so far.
func (c *Client) Counts(ctx context.Context) (Counts, error) {
	var counts Counts
	body, err := c.do(ctx, http.MethodGet, "/counts", nil)
	if err != nil {
		return counts, err
	}
	return counts, json.Unmarshal(body, &counts)
}

// Events returns every request from index from on.
func (c *Client) Events(ctx context.Context, from int) ([]Event, error) {
	body, err := c.do(ctx, http.MethodGet, fmt.Sprintf("/events?from=%d", from), nil)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(body)/binary.Size(Event{}))
	if err := binary.Read(bytes.NewReader(body), binary.LittleEndian, events); err != nil {
		return nil, fmt.Errorf("decoding the server's ledger: %w", err)
	}
	return events, nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking the token server: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the token server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the token server's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("token server answered %s %s with %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}
