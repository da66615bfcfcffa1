package tokenserver

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answer treats one request as the mode of the moment says, and reports whether
// the connection is good for another.
func (s *Server) answer(c net.Conn, req request) bool {
	now := time.Now()
	mode := s.mode.Load()
	event := Event{Token: req.token, Refresh: req.grant == "refresh_token", Arrived: now.UnixNano()}
	if mode.Latency > 0 {
		time.Sleep(mode.Latency)
	}
	switch {
	case mode.Name == ModeReset:
		s.record(event, Reset)
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // makes the close a reset
		}
		return false
	case mode.Name == ModeHang:
		s.record(event, Hung)
		_, _ = io.Copy(io.Discard, c) // until the client has had enough
		return false
	case mode.Name == ModeUnavailable:
		s.record(event, Unavailable)
		return write(c, "503 Service Unavailable", "", `{"error":"server_error"}`)
	case mode.Name == ModeLimited && !s.ledger.allow(now, mode.Rate):
		s.record(event, Limited)
		return write(c, "429 Too Many Requests", "Retry-After: 1\r\n", `{"error":"temporarily_unavailable"}`)
	case req.token < 0:
		s.record(event, Refused)
		return write(c, "401 Unauthorized", "", `{"error":"invalid_client"}`)
	}
	return s.grant(c, req, event)
}

// grant answers a request that may have a token (RFC 6749 section 5.1).
func (s *Server) grant(c net.Conn, req request, event Event) bool {
	switch req.grant {
	case "client_credentials", "password", "refresh_token":
	default:
		s.record(event, Refused)
		return write(c, "400 Bad Request", "", `{"error":"unsupported_grant_type"}`)
	}
	now := time.Now()
	access, refresh, ok := s.ledger.issue(req, now, s.lifetime)
	if !ok {
		s.record(event, Refused)
		return write(c, "400 Bad Request", "", `{"error":"invalid_grant"}`)
	}
	event.Serial, event.Expires, event.Answered = access.Serial, access.Expires, now.UnixNano()
	event.Outcome = Issued
	s.ledger.add(event)
	body := fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d`, access, int(s.lifetime.Seconds()))
	if refresh != "" {
		body += fmt.Sprintf(`,"refresh_token":%q`, refresh)
	}
	return write(c, "200 OK", "", body+"}")
}

func (s *Server) record(e Event, o Outcome) {
	e.Outcome, e.Answered = o, time.Now().UnixNano()
	s.ledger.add(e)
}

func write(c net.Conn, status, header, body string) bool {
	_, err := io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"+header+
		"Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	return err == nil
}
