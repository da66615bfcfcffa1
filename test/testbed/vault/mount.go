package vault

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// fresh returns a name that nobody has used.
func fresh(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:10])
}

// Mount mounts a KV engine of version 1 or 2 at a fresh path, returns the path
// (without slashes) and unmounts it when the test is over.
func (s *Server) Mount(t testing.TB, version int) string {
	t.Helper()
	path := fresh("kv" + strconv.Itoa(version))
	s.MountAt(t, path, version)
	return path
}

// MountAt mounts a KV engine at a path, and returns when it is ready.
func (s *Server) MountAt(t testing.TB, path string, version int) {
	t.Helper()
	s.Do(t, http.MethodPost, "sys/mounts/"+path, map[string]any{
		"type": "kv", "options": map[string]string{"version": strconv.Itoa(version)},
	})
	s.atEnd(t, "sys/mounts/"+path)
	if version == 2 {
		if err := s.until(t.Context(), path+"/config"); err != nil { // it arranges itself, and answers with 400
			t.Fatal(err)
		}
	}
}

// Unmount takes an engine away with all that it holds.
func (s *Server) Unmount(t testing.TB, path string) {
	t.Helper()
	s.Do(t, http.MethodDelete, "sys/mounts/"+path, nil)
}

// Quota limits the requests to a path (a mount, or below one) to rate a second.
// Whoever goes beyond is answered with 429, and a Retry-After of 9 or 10 s, for
// 10 s. remove ends it.
func (s *Server) Quota(t testing.TB, path string, rate float64) (remove func()) {
	t.Helper()
	name := "sys/quotas/rate-limit/" + fresh("quota")
	s.Do(t, http.MethodPost, "sys/quotas/config", map[string]any{"enable_rate_limit_response_headers": true})
	s.Do(t, http.MethodPost, name, map[string]any{"path": path, "rate": rate, "block_interval": "10s"})
	s.atEnd(t, name)
	return func() { s.Do(t, http.MethodDelete, name, nil) }
}

// atEnd deletes a path when the test is over, if the server still runs.
func (s *Server) atEnd(t testing.TB, path string) {
	t.Cleanup(func() { _, _ = s.Call(context.Background(), http.MethodDelete, path, nil) })
}
