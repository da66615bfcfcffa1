package kubernetes_test

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/sinks"
	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

func full(p *place) func(*sink.Options) {
	return func(o *sink.Options) {
		o.Data = map[string]sinks.Format{"token": p.format("token"), "header": p.format("header"), "env": p.format("env")}
		o.Labels = map[string]string{"app": "shop"}
		o.Annotations = map[string]string{"example.com/owner": "team-a"}
	}
}

func TestSecretAsConfigured(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(p.sink(full(p)), 3, true)
	found := p.holds(3)
	if got, want := string(found.Data["header"]), "Authorization: Bearer "+sinktest.Token(3).AccessToken.Reveal()+"\n"; got != want {
		t.Errorf("the key header holds %d bytes, want %d", len(got), len(want))
	}
	if len(found.Data) != 3 || found.Type != corev1.SecretTypeOpaque {
		t.Errorf("the Secret has %d keys and type %s", len(found.Data), found.Type)
	}
	wantLabels := map[string]string{"app": "shop", "app.kubernetes.io/managed-by": "tokend"}
	if !maps.Equal(found.Labels, wantLabels) {
		t.Errorf("the labels are %v, want %v", found.Labels, wantLabels)
	}
	wantNotes := map[string]string{
		"example.com/owner": "team-a", "tokend/token": "operator", "tokend/generation": "3",
		"tokend/issued-at": "2026-01-02T03:07:05Z", "tokend/expires-at": "2026-01-02T04:07:05Z",
	}
	if !maps.Equal(found.Annotations, wantNotes) {
		t.Errorf("the annotations are %v, want %v", found.Annotations, wantNotes)
	}
	managers := found.ManagedFields
	if len(managers) != 1 || managers[0].Manager != "tokend" || managers[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("the field managers are %v, want tokend by apply alone", managers)
	}
}

func TestForeignKeysLabelsAndAnnotationsStay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.create(map[string]string{"other": "kept", "token": "from before"})
	s := p.sink(full(p))
	p.write(s, 1, true)
	p.merge(map[string]any{
		"data":     map[string][]byte{"more": []byte("kept")},
		"metadata": map[string]any{"labels": map[string]string{"theirs": "kept"}, "annotations": map[string]string{"example.com/theirs": "kept"}},
	})
	p.write(s, 2, true)
	found := p.holds(2)
	if got := slices.Sorted(maps.Keys(found.Data)); !slices.Equal(got, []string{"env", "header", "more", "other", "token"}) {
		t.Errorf("the keys are %v", got)
	}
	if found.Labels["theirs"] != "kept" || found.Annotations["example.com/theirs"] != "kept" {
		t.Errorf("labels %v, annotations %v", found.Labels, found.Annotations)
	}
}

func TestWhatWasTakenOutOfTheConfigurationLeavesTheSecret(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(p.sink(full(p)), 1, true)
	p.edit("theirs", "kept")
	reloaded := p.sink()
	p.follow(reloaded)
	p.write(reloaded, 1, true) // the same generation, and yet there is something to do
	found := p.holds(1)
	if got := slices.Sorted(maps.Keys(found.Data)); !slices.Equal(got, []string{"theirs", "token"}) {
		t.Errorf("the keys are %v", got)
	}
	if len(found.Labels) != 1 || found.Annotations["example.com/owner"] != "" {
		t.Errorf("labels %v, annotations %v", found.Labels, found.Annotations)
	}
	p.write(reloaded, 1, false)
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change map[string]any // by somebody else
		stays  bool
	}{
		{"alone", nil, false},
		{"beside a foreign key", map[string]any{"data": map[string][]byte{"other": []byte("kept")}}, true},
		{"beside a foreign label", map[string]any{"metadata": map[string]any{"labels": map[string]string{"theirs": "kept"}}}, true},
		{"beside a foreign annotation", map[string]any{"metadata": map[string]any{"annotations": map[string]string{"theirs": "kept"}}}, true},
		{"own key edited by somebody else", map[string]any{"data": map[string][]byte{"token": []byte("edited")}}, false},
		{"own key edited beside a foreign one", map[string]any{"data": map[string][]byte{"token": []byte("edited"), "other": []byte("kept")}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write(p.sink(full(p)), 1, true)
			if test.change != nil {
				p.merge(test.change)
			}
			p.must(p.sink().Remove(t.Context())) // of a later configuration, with fewer keys
			found := p.get()
			if !test.stays {
				if found != nil {
					t.Errorf("the Secret is still there")
				}
				return
			}
			if found == nil {
				t.Fatal("the Secret is gone, and what was foreign in it too")
			}
			for _, key := range []string{"token", "header", "env"} {
				if _, ok := found.Data[key]; ok {
					t.Errorf("the key %s is still there", key)
				}
			}
			delete(found.Labels, "theirs")
			delete(found.Annotations, "theirs")
			if len(found.Labels) > 0 || len(found.Annotations) > 0 {
				t.Errorf("labels %v and annotations %v are still there", found.Labels, found.Annotations)
			}
		})
	}
}

func TestRemoveLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	t.Run("never written by tokend", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		p.create(map[string]string{"token": "theirs"})
		p.must(p.sink().Remove(t.Context()))
		if found := p.get(); found == nil || string(found.Data["token"]) != "theirs" {
			t.Error("somebody else's Secret was touched")
		}
	})
	t.Run("written for another token since", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		old := p.sink()
		p.write(old, 7, true)
		p.write(p.sink(func(o *sink.Options) { o.Token = "renamed" }), 1, true)
		p.must(old.Remove(t.Context()))
		p.holds(1)
	})
}
