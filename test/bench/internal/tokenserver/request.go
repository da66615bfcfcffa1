package tokenserver

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// ClientSecret is the secret of every client.
const ClientSecret = "bench-secret"

// maxBody bounds what one request may make the server read.
const maxBody = 64 << 10

// request is what a token request asks for.
type request struct {
	token        int32 // -1: no client of ours, or a wrong secret
	grant        string
	refreshToken string
	close        bool // the client wants the connection closed
}

var errBadRequest = errors.New("not an HTTP/1.1 request that this server reads")

// readRequest reads one request off the wire. Of the headers it looks only at
// the four that matter here.
func readRequest(r *bufio.Reader) (request, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return request{}, err
	}
	if !bytes.HasSuffix(line, []byte(" HTTP/1.1\r\n")) {
		return request{}, errBadRequest
	}
	h, err := readHeaders(r)
	if err != nil {
		return request{}, err
	}
	body := make([]byte, h.length)
	if _, err := io.ReadFull(r, body); err != nil {
		return request{}, fmt.Errorf("reading the body: %w", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return request{}, fmt.Errorf("parsing the body: %w", err)
	}
	return request{
		token:        authenticate(h.authorization, form),
		grant:        form.Get("grant_type"),
		refreshToken: form.Get("refresh_token"),
		close:        h.close,
	}, nil
}

type headers struct {
	length        int
	authorization string
	close         bool
}

func readHeaders(r *bufio.Reader) (headers, error) {
	var h headers
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if err := h.set(name, bytes.TrimSpace(value)); err != nil {
			return h, err
		}
	}
}

func (h *headers) set(name, value []byte) error {
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.Atoi(string(value))
		if err != nil || n < 0 || n > maxBody {
			return errBadRequest
		}
		h.length = n
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		return errBadRequest
	case bytes.EqualFold(name, []byte("Authorization")):
		h.authorization = string(value)
	case bytes.EqualFold(name, []byte("Connection")):
		h.close = bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// authenticate returns the client's number, or -1.
func authenticate(authorization string, form url.Values) int32 {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if encoded, ok := strings.CutPrefix(authorization, "Basic "); ok {
		plain, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return -1
		}
		id, secret, _ = strings.Cut(string(plain), ":")
	}
	if secret != ClientSecret {
		return -1
	}
	return ClientNumber(id)
}

// ClientNumber reads the number out of a client's id: 7 for client-7, and for
// client-7.b too, which is another client for the same token. It returns -1 for
// an id of any other form.
func ClientNumber(id string) int32 {
	digits, ok := strings.CutPrefix(id, "client-")
	if !ok {
		return -1
	}
	digits, _, _ = strings.Cut(digits, ".")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return -1
	}
	return int32(n)
}
