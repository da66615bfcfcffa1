package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokend-project/tokend/internal/token"
)

// Check implements [sinks.Checker]: it applies a token of no worth as a dry run,
// which passes authorization, admission and validation and stores nothing, and
// reads the Secret. The error names the verb that is missing, of get, create and
// patch, and of list and watch once the Secret is watched.
//
// That is two requests. Where they succeed for a Secret of type Opaque, which the
// API server has no further rules for, they stand for the others of the namespace
// for a minute.
func (s *Sink) Check(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	c, err := s.render(worthless())
	if err != nil {
		return err
	}
	at, _, err := s.now(ctx)
	if err != nil {
		return err
	}
	if at.Exists() {
		if err := s.permits(at); err != nil {
			return err
		}
	}
	prove := func(ctx context.Context) error { return s.prove(ctx, c) }
	if s.kind == corev1.SecretTypeOpaque {
		err = s.client.Prove(ctx, fmt.Sprintf("secrets %s exists=%t", s.namespace, at.Exists()), prove)
	} else {
		err = prove(ctx)
	}
	if err != nil {
		return err
	}
	if err := s.watched(ctx); err != nil {
		return fmt.Errorf("secret %s can be written, but not watched: %w", s.Target(), err)
	}
	return nil
}

func (s *Sink) prove(ctx context.Context, c content) error {
	_, _, refused := s.apply(ctx, c, "", true)
	if refused != nil && !apierrors.IsInvalid(refused) {
		return refused
	}
	_, at, err := s.read(ctx)
	if err != nil {
		return err
	}
	if at.Exists() { // without tokend's label, the watch could not know of it
		if err := s.permits(at); err != nil {
			return err
		}
	}
	return refused
}

// watched is why the watch does not run, once it has tried.
func (s *Sink) watched(ctx context.Context) error {
	s.mu.Lock()
	watching := s.watching > 0
	s.mu.Unlock()
	if !watching {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, firstList)
	defer cancel()
	s.secrets.Wait(wait)
	return s.secrets.Err()
}

// worthless is a token that opens nothing, shaped like a JWT for templates that
// take one apart.
func worthless() token.Token {
	const part = "dG9rZW5kLWNoZWNr"
	issued := time.Unix(1_700_000_000, 0)
	return token.Token{
		Generation:  1,
		AccessToken: token.NewSecret(part + "." + part + "." + part),
		TokenType:   "Bearer",
		Scope:       "check",
		IssuedAt:    issued,
		ExpiresAt:   issued.Add(time.Hour),
	}
}
