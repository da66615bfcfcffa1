package page

import (
	"slices"

	"github.com/tokend-project/tokend/internal/token"
)

// same tells whether a reader would see no difference. It is asked once a second
// for every token while somebody looks, so it neither reflects nor allocates.
func same(a, b *token.Status) bool {
	return a.State == b.State && a.Generation == b.Generation && a.InFlight == b.InFlight &&
		a.NextAttempt.Equal(b.NextAttempt) && a.NextKind == b.NextKind && a.ExpiresAt.Equal(b.ExpiresAt) && a.IssuedAt.Equal(b.IssuedAt) &&
		a.Failures == b.Failures && a.Attempts == b.Attempts && a.Refreshes == b.Refreshes && a.Logins == b.Logins &&
		a.LastSuccess.Equal(b.LastSuccess) && a.Refreshable == b.Refreshable && a.Provider == b.Provider && a.Grant == b.Grant &&
		sameProblem(a.LastError, b.LastError) && slices.EqualFunc(a.Sinks, b.Sinks, sameSink) &&
		sameHook(a.Hook, b.Hook) && sameProbe(a.Probe, b.Probe)
}

func sameProblem(a, b *token.Problem) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.At.Equal(b.At) && a.Class == b.Class && a.Code == b.Code && a.Message == b.Message
}

func sameSink(a, b token.SinkStatus) bool {
	return a.Kind == b.Kind && a.Target == b.Target && a.Generation == b.Generation && a.Repairs == b.Repairs &&
		a.WrittenAt.Equal(b.WrittenAt) && sameProblem(a.LastError, b.LastError)
}

func sameHook(a, b *token.HookStatus) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Generation == b.Generation && a.RanAt.Equal(b.RanAt) && sameProblem(a.LastError, b.LastError)
}

// sameProbe leaves aside when it was asked: that it was asked again is no news.
func sameProbe(a, b *token.ProbeStatus) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.OK == b.OK && a.At.IsZero() == b.At.IsZero() && sameProblem(a.LastError, b.LastError)
}
