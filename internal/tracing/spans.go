package tracing

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// Names of spans.
const (
	spanRefresh = "refresh"
	spanLogin   = "login"
	spanIntent  = "intent"
	spanRequest = "request"
	spanCommit  = "commit"
	spanWrite   = "write"
)

// Observe implements refresher.Observer.
func (t *Tracer) Observe(e refresher.Event) {
	switch e.Kind {
	case refresher.Refreshed, refresher.LoggedIn, refresher.AttemptFailed, refresher.RefreshDenied, refresher.Fenced:
		if !e.Course.Started.IsZero() {
			t.attempt(e)
		}
	case refresher.SinkWritten, refresher.SinkUnchanged, refresher.SinkRepaired, refresher.SinkFight, refresher.SinkFailed:
		t.write(e)
	default: // what is no attempt and no write has no span
	}
}

// attempt makes the root of a trace, and the steps that were taken.
func (t *Tracer) attempt(e refresher.Event) {
	c := e.Course
	options := []trace.SpanStartOption{
		trace.WithTimestamp(c.Started),
		trace.WithAttributes(append(subject(e), attribute.String("tokend.grant", c.Grant))...),
	}
	if !c.Follows.IsZero() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: t.salt.root(e.Token, c.Follows)}))
	}
	ctx := withRoot(context.Background(), t.salt.root(e.Token, c.Answered))
	ctx, root := t.tracer.Start(ctx, attemptName(e), options...)
	if !root.IsRecording() {
		return
	}
	t.step(ctx, spanIntent, c.Started, c.Intended, c.IntentErr)
	t.request(ctx, e)
	t.step(ctx, spanCommit, c.Answered, c.Saved, c.SaveErr)
	switch {
	case e.Kind == refresher.Fenced:
		fail(root, string(e.Kind), "another owner has written the record; what was obtained is dropped")
	case e.Err != nil:
		fail(root, errorType(e.Err), e.Err.Error())
		root.SetAttributes(attribute.String("tokend.class", e.Class.String()))
		if code := problem.OfEvent(string(e.Kind), "", e.Err); code != "" {
			root.SetAttributes(attribute.String("tokend.problem", code))
		}
	}
	root.End(trace.WithTimestamp(latest(c.Started, e.At)))
}

// attemptName tells a refresh by the intent that comes before it, where the event
// does not tell.
func attemptName(e refresher.Event) string {
	switch e.Kind {
	case refresher.Refreshed, refresher.RefreshDenied:
		return spanRefresh
	case refresher.LoggedIn:
		return spanLogin
	}
	if e.Detail == spanRefresh || !e.Course.Intended.IsZero() {
		return spanRefresh
	}
	return spanLogin
}

// step makes a span of a step that was taken.
func (t *Tracer) step(ctx context.Context, name string, from, to time.Time, err error) {
	if to.IsZero() {
		return
	}
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(from))
	if err != nil {
		fail(span, "state", err.Error())
	}
	span.End(trace.WithTimestamp(latest(from, to)))
}

// request makes a span of what the server was asked. A request that was answered
// well is no error, whatever became of the answer.
func (t *Tracer) request(ctx context.Context, e refresher.Event) {
	c := e.Course
	if c.Asked.IsZero() {
		return
	}
	_, span := t.tracer.Start(ctx, spanRequest, trace.WithTimestamp(c.Asked), trace.WithSpanKind(trace.SpanKindClient))
	if e.Err != nil {
		fail(span, errorType(e.Err), e.Err.Error())
		if f, ok := errors.AsType[*token.Failure](e.Err); ok && f.Status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", f.Status))
		}
	}
	span.End(trace.WithTimestamp(latest(c.Asked, c.Answered)))
}

// write makes a span of one write of a sink: a child of the attempt whose answer
// it delivers; a trace of its own where a start or a repair asked for it.
func (t *Tracer) write(e refresher.Event) {
	ctx := context.Background()
	if answered := e.Course.Answered; !answered.IsZero() {
		ctx = trace.ContextWithSpanContext(ctx, t.salt.root(e.Token, answered))
	}
	_, span := t.tracer.Start(ctx, spanWrite, trace.WithTimestamp(e.At.Add(-max(0, e.Took))), trace.WithAttributes(append(subject(e),
		attribute.String("tokend.sink", e.SinkKind), attribute.String("tokend.target", e.Target), attribute.String("tokend.result", result(e.Kind)))...))
	if e.Err != nil {
		fail(span, "sink", e.Err.Error())
		if code := problem.OfEvent(string(e.Kind), e.SinkKind, e.Err); code != "" {
			span.SetAttributes(attribute.String("tokend.problem", code))
		}
	}
	span.End(trace.WithTimestamp(e.At))
}

func subject(e refresher.Event) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs, attribute.String("tokend.token", e.Token), attribute.String("tokend.provider", e.Provider))
	if e.Generation != 0 {
		attrs = append(attrs, attribute.Int64("tokend.generation", int64(e.Generation)))
	}
	return attrs
}

// result is what became of a write, as metrics call it.
func result(k refresher.Kind) string {
	if k == refresher.SinkFight {
		k = refresher.SinkRepaired
	}
	return strings.TrimPrefix(string(k), "sink_")
}

// errorType is a failure's own word for what happened: the server's error code
// is in the message, since anybody may make up more of them.
func errorType(err error) string {
	if f, ok := errors.AsType[*token.Failure](err); ok && f.Reason != "" {
		return f.Reason
	}
	return "other"
}

// fail marks a span. Errors of tokend hold no secret, no body and no query; they
// stand in the log too.
func fail(span trace.Span, kind, message string) {
	span.SetStatus(codes.Error, clipped(message))
	span.SetAttributes(attribute.String("error.type", kind))
}

// clipped bounds a message, at a whole character.
func clipped(message string) string {
	if len(message) > 512 {
		message = strings.ToValidUTF8(message[:512], "") + "…"
	}
	return strings.ToValidUTF8(message, "\uFFFD") // protobuf takes nothing else
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
