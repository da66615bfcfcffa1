package faults

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// describe answers with an OAuth error that has text in its description.
func describe(status int, code string, text func(secrets string) string) echo {
	return func(w http.ResponseWriter, secrets string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": text(secrets), "error_uri": secrets})
	}
}

// echo answers a token request with the secrets that were in it.
type echo func(w http.ResponseWriter, secrets string)

func fields(of func(secrets string) map[string]any) echo {
	return func(w http.ResponseWriter, secrets string) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(of(secrets))
	}
}

func page(status int, contentType string) echo {
	return func(w http.ResponseWriter, secrets string) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html>%s</html>", secrets)
	}
}

func raw(answer func(c net.Conn, secrets string)) echo {
	return func(w http.ResponseWriter, secrets string) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			answer(conn, secrets)
			_ = conn.Close()
		}
	}
}

// refusals are error answers whose words repeat the secrets in every coding that
// a server might use.
func refusals() map[string]echo {
	plain := func(s string) string { return s }
	inJSON := func(s string) string { b, _ := json.Marshal(map[string]string{"request": s}); return string(b) }
	return map[string]echo{
		"invalid-grant":    describe(400, "invalid_grant", plain),
		"invalid-client":   describe(401, "invalid_client", plain),
		"invalid-scope":    describe(400, "invalid_scope", plain),
		"with-200":         describe(200, "invalid_grant", plain),
		"unavailable":      describe(503, "temporarily_unavailable", plain),
		"server-error":     describe(500, "server_error", plain),
		"in-json":          describe(400, "invalid_grant", inJSON),
		"in-json-twice":    describe(400, "invalid_grant", func(s string) string { return inJSON(inJSON(s)) }),
		"in-html":          describe(400, "invalid_grant", html.EscapeString),
		"in-a-go-string":   describe(400, "invalid_grant", func(s string) string { return fmt.Sprintf("%q", s) }),
		"form-encoded":     describe(400, "invalid_grant", url.QueryEscape),
		"percent-encoded":  describe(400, "invalid_grant", url.PathEscape),
		"in-a-url-twice":   describe(400, "invalid_grant", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }),
		"in-base64":        describe(400, "invalid_grant", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"in-base64url":     describe(400, "invalid_grant", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }),
		"in-hexadecimal":   describe(400, "invalid_grant", func(s string) string { return hex.EncodeToString([]byte(s)) }),
		"cut-by-the-limit": describe(400, "invalid_grant", func(s string) string { return strings.Repeat("x", 230) + s }),
		"as-the-code": func(w http.ResponseWriter, secrets string) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": secrets})
		},
		"as-a-form": func(w http.ResponseWriter, secrets string) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, url.Values{"error": {"invalid_grant"}, "error_description": {secrets}}.Encode())
		},
	}
}

// oddities are answers that are neither a refusal nor a token.
func oddities() map[string]echo {
	answer := func(key string) echo {
		return fields(func(s string) map[string]any {
			return map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 3600, key: s}
		})
	}
	return map[string]echo{
		"html-500":      page(500, "text/html"),
		"html-200":      page(200, "text/html"),
		"html-as-json":  page(200, "application/json"),
		"not-found":     page(404, "text/html"),
		"token-type":    answer("token_type"),
		"lifetime":      answer("expires_in"),
		"scope":         answer("scope"),
		"control":       fields(func(s string) map[string]any { return map[string]any{"access_token": s + "\n", "token_type": "Bearer"} }),
		"type-as-field": fields(func(s string) map[string]any { return map[string]any{s: s, "access_token": []string{s}} }),
		"twice": func(w http.ResponseWriter, s string) {
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"access_token":%q}`, s, s)
		},
		"truncated": func(w http.ResponseWriter, s string) { _, _ = fmt.Fprintf(w, `{"scope":%q,"access_token":"`, s) },
		"oversize":  func(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s+strings.Repeat(" ", 2<<20)) },
		"gzip": func(w http.ResponseWriter, s string) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, s)
			_ = z.Close()
		},
		"redirect": func(w http.ResponseWriter, s string) {
			w.Header().Set("Location", "http://127.0.0.1:1/?"+url.QueryEscape(s))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"headers": func(w http.ResponseWriter, s string) {
			s = url.QueryEscape(s)
			w.Header().Set("Retry-After", s)
			w.Header().Set("WWW-Authenticate", s)
			w.Header().Set("Content-Type", s)
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"garbage":     raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "%s\r\n\r\n", s) }),
		"status-line": raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\n\r\n", s) }),
		"broken-head": raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", s) }),
		"length":      raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", s) }),
		"reset": raw(func(c net.Conn, _ string) {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}),
	}
}
