package tracing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// salt makes the ids of two daemons differ.
type salt [16]byte

func newSalt() (s salt) {
	_, _ = rand.Read(s[:]) // never fails: it ends the process instead
	return s
}

// root is the span that an attempt of a token has, or will have, by the instant
// at which its answer was read.
func (s salt) root(token string, answered time.Time) trace.SpanContext {
	in := make([]byte, 0, 96)
	in = append(in, s[:]...)
	in = binary.BigEndian.AppendUint64(in, uint64(answered.UnixNano()))
	sum := sha256.Sum256(append(in, token...))
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), TraceFlags: trace.FlagsSampled,
	})
}

// ids gives a root the ids that the context names, and everything else random
// ones. The context is the only way that OpenTelemetry's SDK leaves to tell it.
type ids struct{}

type rootKey struct{}

func withRoot(ctx context.Context, root trace.SpanContext) context.Context {
	return context.WithValue(ctx, rootKey{}, root)
}

// NewIDs implements sdktrace.IDGenerator.
func (g ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if root, ok := ctx.Value(rootKey{}).(trace.SpanContext); ok {
		return root.TraceID(), root.SpanID()
	}
	var id trace.TraceID
	_, _ = rand.Read(id[:])
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	_, _ = rand.Read(id[:])
	return id
}

// instance names the process that the spans come from.
func (s salt) instance() string { return hex.EncodeToString(s[:]) }
