package kubernetes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/token"
)

// tries is how often one change is sent: lost answers and labels that somebody
// puts on the Secret at the same time are both rare.
const tries = 4

// change is what is to become of a record's Secret.
type change struct {
	id     string
	remove bool
	data   map[string][]byte
	notes  map[string]string // annotations beside those of every record
	sum    [sha256.Size]byte
}

func (s *Store) newChange() change {
	return change{id: s.id + "-" + strconv.FormatUint(s.writes.Add(1), 10)}
}

// is reports whether o, nil for none, is what the change makes of the Secret.
func (c *change) is(o *corev1.Secret) bool {
	if c.remove || o == nil {
		return c.remove && o == nil
	}
	v := versionOf(o)
	return v.write == c.id && v.sum == c.sum
}

// detached bounds what goes on when nobody waits for it any more.
func (s *Store) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.bounds.save)
}

// put stores value under name, on top of what the store knows of it.
func (s *Store) put(e *entry, name string, value []byte) error {
	ctx, cancel := s.detached()
	defer cancel()
	if err := s.claim(ctx, e, name); err != nil {
		return err
	}
	c := s.newChange()
	replaced, err := s.cut(ctx, e, name, value, &c)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, e, name, c); err != nil {
		return err
	}
	s.drop(ctx, name, replaced)
	return nil
}

// remove deletes the record of name.
func (s *Store) remove(e *entry, name string) error {
	ctx, cancel := s.detached()
	defer cancel()
	if err := s.claim(ctx, e, name); err != nil {
		return err
	}
	if (e.at == version{}) && len(e.open) == 0 {
		return nil
	}
	replaced, err := s.pieces(ctx, e, name)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, e, name, change{remove: true}); err != nil {
		return err
	}
	s.drop(ctx, name, replaced)
	return nil
}

// claim takes a record over that was never loaded, and refuses one that another
// owner has taken since.
func (s *Store) claim(ctx context.Context, e *entry, name string) error {
	if e.fenced {
		return fmt.Errorf("%w; it has to be loaded again", token.ErrFenced)
	}
	if e.known {
		return nil
	}
	o, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	if o != nil && o.Annotations[tokenAnnotation] != name {
		return s.notOurs(o)
	}
	e.adopt(o)
	return nil
}

// commit sends c until it is known to have landed or not to be able to.
func (s *Store) commit(ctx context.Context, e *entry, name string, c change) error {
	var err error
	for try := range tries {
		if try > 0 && !wait(ctx, s.bounds.pause<<(try-1)) {
			break
		}
		var o *corev1.Secret
		if o, err = s.send(ctx, e, name, c); err == nil {
			e.landed(o)
			return nil
		}
		outcome := outcomeOf(err)
		err = kube.Explain(err, e.verb(c), "secrets", s.namespace, secretName(s.prefix, name))
		if outcome == refused || outcome == missing && e.at == (version{}) {
			return err
		}
		if outcome == lost {
			e.deleted = e.deleted || c.remove
			e.leaveOpen(c.id, c.sum)
		}
		done, judgement := s.settle(ctx, e, name, c)
		if done || judgement != nil {
			return join(judgement, err)
		}
	}
	return err
}

// join tells a fence as it is; everything else is told with what it came from.
func join(judgement, cause error) error {
	if judgement == nil || errors.Is(judgement, token.ErrFenced) {
		return judgement
	}
	return fmt.Errorf("%w; and reading it back: %w", cause, judgement)
}

// settle reads what has become of a write that was contested or whose answer was
// lost. Neither done nor an error means that it may be sent again.
func (s *Store) settle(ctx context.Context, e *entry, name string, c change) (done bool, err error) {
	o, err := s.get(ctx, name)
	if err != nil {
		return false, err
	}
	switch e.judge(o) {
	case unchanged:
		e.adopt(o)
		return false, nil
	case own:
		e.landed(o)
		return c.is(o), nil
	}
	if o == nil {
		if err := s.probe(ctx); err != nil {
			return false, err // the namespace is gone, not the record
		}
		e.fenced = true
		return false, fmt.Errorf("%w: somebody has deleted the Secret %s", token.ErrFenced, secretName(s.prefix, name))
	}
	e.fenced = true
	return false, fmt.Errorf("%w: the Secret %s has been written since it was loaded", token.ErrFenced, o.Name)
}

// send makes the one request of c.
func (s *Store) send(ctx context.Context, e *entry, name string, c change) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	if c.remove {
		if (e.at == version{}) {
			return nil, nil //nolint:nilnil // the deletion of nothing, which leaves nothing
		}
		return nil, s.secrets.Delete(ctx, secretName(s.prefix, name), metav1.DeleteOptions{
			Preconditions: metav1.NewRVDeletionPrecondition(e.at.resource).Preconditions,
		})
	}
	o := s.object(e, name, c)
	if (e.at == version{}) {
		return s.secrets.Create(ctx, o, metav1.CreateOptions{FieldManager: kube.FieldManager})
	}
	return s.secrets.Update(ctx, o, metav1.UpdateOptions{FieldManager: kube.FieldManager})
}

func (e *entry) verb(c change) string {
	switch {
	case c.remove:
		return "delete"
	case e.at == version{}:
		return "create"
	}
	return "update"
}

func (s *Store) object(e *entry, name string, c change) *corev1.Secret {
	o := &corev1.Secret{Type: recordType, Data: c.data}
	if e.extra != nil {
		o.ObjectMeta = *e.extra.DeepCopy()
	}
	if e.kind != "" {
		o.Type = e.kind // it cannot be changed
	}
	o.Name, o.Namespace, o.ResourceVersion = secretName(s.prefix, name), s.namespace, e.at.resource
	o.Labels = merged(o.Labels, map[string]string{kube.ManagedByLabel: kube.ManagedBy, stateLabel: s.prefix})
	o.Annotations = merged(o.Annotations, map[string]string{tokenAnnotation: name, writeAnnotation: c.id})
	o.Annotations = merged(o.Annotations, c.notes)
	return o
}

func merged(into, from map[string]string) map[string]string {
	if into == nil {
		into = make(map[string]string, len(from))
	}
	maps.Copy(into, from)
	return into
}

// outcome is what an error tells of a write.
type outcome uint8

const (
	lost      outcome = iota // it may have landed, or may still
	refused                  // it did not, and the reason is not another write
	contested                // it did not, since the Secret is not what it was
	missing                  // the same, since it is gone; or there is no namespace
)

func outcomeOf(err error) outcome {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return lost
	}
	switch code := status.ErrStatus.Code; {
	case code == http.StatusConflict:
		return contested
	case code == http.StatusNotFound:
		return missing
	case code == http.StatusRequestTimeout:
		return lost
	case code >= 400 && code < 500:
		return refused
	}
	return lost
}

// wait reports false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
