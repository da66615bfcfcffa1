package endpoint

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkSend is one refresh over a kept connection. The server's share is in
// the figure: it runs in the same process.
func BenchmarkSend(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(goodBody))
	}))
	defer s.Close()
	c, err := New(Config{TokenEndpoint: s.URL + "/token"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	p := refresh()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Send(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTransport is net/http's client doing the same, to compare with.
func BenchmarkTransport(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(goodBody))
	}))
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		response, err := s.Client().Post(s.URL, "application/x-www-form-urlencoded", nil)
		if err != nil {
			b.Fatal(err)
		}
		response.Body.Read(make([]byte, 1024))
		response.Body.Close()
	}
}

func BenchmarkEncode(b *testing.B) {
	c, err := New(Config{TokenEndpoint: "https://as.example/token"})
	if err != nil {
		b.Fatal(err)
	}
	p := refresh()
	b.ReportAllocs()
	for b.Loop() {
		request := getBuffer()
		if err := c.templates[""].encode(request, p); err != nil {
			b.Fatal(err)
		}
		request.release()
	}
}

func BenchmarkJudge(b *testing.B) {
	j := judge{names: Response{}.withDefaults(), refresh: true, hidden: func() []string { return nil }}
	r := &response{issued: issued, status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(goodBody)}
	b.ReportAllocs()
	for b.Loop() {
		if _, f := j.judge(r); f != nil {
			b.Fatal(f)
		}
	}
}
