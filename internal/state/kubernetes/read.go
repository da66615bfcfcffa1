package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// errOvertaken says that the Secret was replaced while it was being read.
var errOvertaken = errors.New("another owner replaces the record all the time")

// load reads the record of name and takes it over.
func (s *Store) load(ctx context.Context, e *entry, name string) (token.Record, error) {
	o, ok := s.prefetched(e, name)
	for range tries {
		if !ok {
			var err error
			if o, err = s.get(ctx, name); err != nil {
				return token.Record{}, err
			}
		}
		ok = false
		r, err := s.take(ctx, e, name, o)
		if !errors.Is(err, errOvertaken) {
			return r, err
		}
	}
	return token.Record{}, errOvertaken
}

// take adopts o, nil for none, and returns the record in it.
func (s *Store) take(ctx context.Context, e *entry, name string, o *corev1.Secret) (token.Record, error) {
	if o == nil {
		e.adopt(nil)
		return token.Record{}, fmt.Errorf("%w: none was saved", token.ErrNoRecord)
	}
	ours := o.Annotations[tokenAnnotation] == name
	if where := o.Annotations[quarantinedAnnotation]; ours && len(o.Data) == 0 && where != "" {
		e.adopt(o)
		return token.Record{}, fmt.Errorf("%w: it was put into quarantine, in the Secret %s (%s)", token.ErrNoRecord, where, o.Annotations[reasonAnnotation])
	}
	value, err := s.value(ctx, name, o)
	if err != nil && !errors.Is(err, state.ErrDamaged) {
		return token.Record{}, err
	}
	var r token.Record
	if err == nil {
		r, err = s.codec.Decode(name, value)
	}
	switch {
	case errors.Is(err, state.ErrKey):
		// Not damage, but most likely a key that was changed: the record is good
		// for whoever has the old one.
		return token.Record{}, fmt.Errorf("the Secret %s: %w; give the key back, or delete the Secret so that the token logs in anew", o.Name, err)
	case err != nil && !ours:
		return token.Record{}, s.notOurs(o)
	case err != nil:
		e.adopt(o)
		return token.Record{}, s.quarantine(e, name, o, err)
	}
	e.adopt(o)
	return r, nil
}

// value returns the bytes of the record in o, pieces and all.
func (s *Store) value(ctx context.Context, name string, o *corev1.Secret) ([]byte, error) {
	names := partsOf(o)
	if len(names) == 0 {
		return o.Data[recordKey], nil
	}
	var value bytes.Buffer
	for _, part := range names {
		p, err := s.getSecret(ctx, part)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, s.lostPiece(ctx, name, o, part)
		}
		value.Write(p.Data[partKey])
	}
	return value.Bytes(), nil
}

// lostPiece tells a piece that was deleted because its record was replaced from
// one that is lost.
func (s *Store) lostPiece(ctx context.Context, name string, o *corev1.Secret, part string) error {
	now, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	if versionOf(now) != versionOf(o) {
		return errOvertaken
	}
	return fmt.Errorf("%w: its piece %s is gone", state.ErrDamaged, part)
}

// get reads the Secret of name from etcd, nil when there is none.
func (s *Store) get(ctx context.Context, name string) (*corev1.Secret, error) {
	return s.getSecret(ctx, secretName(s.prefix, name))
}

func (s *Store) getSecret(ctx context.Context, secret string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.bounds.request, context.DeadlineExceeded)
	defer cancel()
	o, err := s.secrets.Get(ctx, secret, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // that there is none is an answer
	case err != nil:
		return nil, kube.Explain(err, "get", "secrets", s.namespace, secret)
	}
	return o, nil
}

func (s *Store) notOurs(o *corev1.Secret) error {
	return fmt.Errorf("the Secret %s of namespace %s is no record of tokend's: delete it, or choose another prefix", o.Name, s.namespace)
}
