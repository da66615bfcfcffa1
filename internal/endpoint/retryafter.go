package endpoint

import (
	"net/http"
	"strings"
	"time"
)

const maxRetryAfter = time.Hour

// retryAfter reads RFC 9110 section 10.2.3: seconds or a date. It is between 0
// and one hour; a server that asks for more would have the token die over it.
func retryAfter(h http.Header, now time.Time) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	d, ok := seconds(s)
	if !ok {
		at, err := http.ParseTime(s)
		if err != nil {
			return 0
		}
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}
