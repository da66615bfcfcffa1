package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func TestFailureWording(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failure token.Failure
		want    string
	}{
		{token.Failure{Class: token.NotSent}, "token request not sent"},
		{
			token.Failure{Class: token.NotSent, Reason: "dial", Err: errors.New("connection refused")},
			"token request not sent (dial): connection refused",
		},
		{
			token.Failure{Class: token.Ambiguous, Reason: "timeout", Err: io.ErrUnexpectedEOF},
			"token request sent but not answered (timeout): unexpected EOF",
		},
		{
			token.Failure{Class: token.Ambiguous, Reason: "http_status", Status: 502},
			"token request answered without a usable result (http_status): HTTP 502",
		},
		{
			token.Failure{Class: token.Ambiguous, Reason: "content_type", Status: 200, Err: errors.New("text/html is no token")},
			"token request answered without a usable result (content_type): HTTP 200: text/html is no token",
		},
		{
			token.Failure{Class: token.Transient, Reason: "http_status", Status: 429, RetryAfter: time.Minute},
			"token request refused (http_status): HTTP 429",
		},
		{
			token.Failure{Class: token.Rejected, Reason: "oauth_error", Status: 400, Code: "invalid_grant", Description: "Token is not active"},
			"token request refused (oauth_error): HTTP 400: invalid_grant: Token is not active",
		},
		{
			token.Failure{Class: token.Misconfigured, Status: 401, Code: "invalid_client"},
			"token request refused: HTTP 401: invalid_client",
		},
		{
			token.Failure{Class: token.Rejected, Reason: "needs_human", Err: errors.New("a person must act")},
			"token request refused (needs_human): a person must act",
		},
		{token.Failure{}, "token request refused"},
	} {
		if got := c.failure.Error(); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestFailureIsFoundThroughWrapping(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	err := fmt.Errorf("token %q: %w", "operator", &token.Failure{Class: token.Ambiguous, Err: cause})
	f, ok := errors.AsType[*token.Failure](err)
	if !ok || f.Class != token.Ambiguous {
		t.Errorf("the failure is not found in %v", err)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is not found")
	}
	if errors.Unwrap(&token.Failure{}) != nil {
		t.Error("a failure without a cause unwraps to one")
	}
}

func TestFailureNeverShowsASecretCause(t *testing.T) {
	t.Parallel()
	f := &token.Failure{Class: token.Rejected, Err: fmt.Errorf("sent %v", token.NewSecret(canary))}
	for _, verb := range []string{"%v", "%+v", "%s", "%q"} {
		if shape := leaks(fmt.Sprintf(verb, f)); shape != "" {
			t.Errorf("%s shows the secret (%s)", verb, shape)
		}
	}
}

func TestClassStrings(t *testing.T) {
	t.Parallel()
	for class, want := range map[token.Class]string{
		0: "", token.NotSent: "not_sent", token.Ambiguous: "ambiguous", token.Transient: "transient",
		token.Rejected: "rejected", token.Misconfigured: "misconfigured", token.Misconfigured + 1: "", 255: "",
	} {
		if got := class.String(); got != want {
			t.Errorf("Class(%d) is %q, not %q", uint8(class), got, want)
		}
		text, err := json.Marshal(map[string]token.Class{"class": class})
		if err != nil || string(text) != fmt.Sprintf(`{"class":%q}`, want) {
			t.Errorf("Class(%d) in JSON is %s, %v", uint8(class), text, err)
		}
	}
}
