package kubernetes_test

import (
	"testing"

	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

func TestConformance(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(p *place)
		watched bool
	}{
		{"nothing there", func(*place) {}, false},
		{"beside foreign keys", func(p *place) {
			p.create(map[string]string{"other": "kept"})
		}, false},
		{"watched", func(*place) {}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, func(t *testing.T) sinktest.Harness {
				p := newPlace(t)
				test.prepare(p)
				return p.harness(p.sink(), test.watched)
			})
		})
	}
}

func (p *place) harness(s *sink.Sink, watched bool) sinktest.Harness {
	settle := func() {}
	if watched {
		settle = p.follow(s)
	}
	return sinktest.Harness{
		Sink: s,
		Read: func(*testing.T) (string, bool) {
			if found := p.get(); found != nil {
				value, ok := found.Data["token"]
				return string(value), ok
			}
			return "", false
		},
		Edit: func(_ *testing.T, content string) {
			if p.get() == nil {
				p.create(map[string]string{"token": content})
				return
			}
			p.edit("token", content)
			settle()
		},
		Delete: func(*testing.T) {
			p.delete()
			settle()
		},
		Break: func(t *testing.T) func() {
			p.bed.Grant(t, p.namespace, p.namespace, "tokend", secretsRule("get", "list", "watch"))
			return func() { p.bed.Grant(t, p.namespace, p.namespace, "tokend", secretsRule(allVerbs...)) }
		},
		Version: func(*testing.T) string {
			if found := p.get(); found != nil {
				return string(found.UID) + " " + found.ResourceVersion
			}
			return "none"
		},
	}
}
