package vault_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
)

func labels(t *testing.T) sink.Options {
	return sink.Options{MaxVersions: 3, Metadata: formats(t, map[string]string{
		"generation": "{{ .Generation }}",
		"expires_at": "{{ .ExpiresAt }}",
		"leak":       "[{{ .AccessToken }}]",
	})}
}

func TestMetadataOfOthersIsKeptAndNoneHoldsTheToken(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	set := func(custom map[string]string) {
		p.server.Do(t, http.MethodPost, p.mount+"/metadata/"+entry, map[string]any{"custom_metadata": custom})
	}
	set(map[string]string{"team": "shop"}) // before tokend's first write
	s := p.sink(t, labels(t))
	for g := uint64(1); g <= 5; g++ {
		write(t, s, sinktest.Token(g), true)
	}
	about := p.about(t)
	custom, _ := about["custom_metadata"].(map[string]any)
	want := sinktest.Token(5)
	for key, value := range map[string]any{
		"team": "shop", "generation": "5", "leak": "[]", "expires_at": want.ExpiresAt.Format("2006-01-02T15:04:05Z"),
	} {
		if custom[key] != value {
			t.Errorf("custom metadata %s is %v, want %v", key, custom[key], value)
		}
	}
	if kept, _ := about["versions"].(map[string]any); len(kept) != 3 {
		t.Errorf("%d versions are kept, want 3", len(kept))
	}
}

func TestMetadataCostsASecondRequestAndNoMore(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	s := p.sink(t, labels(t))
	write(t, s, young(1), true)
	count := func() int { return p.requests(t, http.MethodPut) + p.requests(t, http.MethodGet) }
	before := count()
	write(t, s, young(2), true)
	if n := count() - before; n != 2 {
		t.Errorf("a refresh took %d requests, want 2", n)
	}
}

func TestMetadataThatCannotBeSetIsAnErrorAfterTheDataIsWritten(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	p.server.SetPolicy(t, p.policy, rule(p.mount+"/data/"+entry, `"create", "update", "read"`))
	s := p.sink(t, labels(t))
	_, err := s.Write(t.Context(), young(1))
	if err == nil || !strings.Contains(err.Error(), p.mount+"/metadata/"+entry) {
		t.Errorf("Write: %v, want an error that names the path of the metadata", err)
	}
	p.holds(t, 1)
	p.server.SetPolicy(t, p.policy, p.rules())
	write(t, s, young(2), true)
	if custom, _ := p.about(t)["custom_metadata"].(map[string]any); custom["generation"] != "2" {
		t.Errorf("custom metadata: %v", custom)
	}
}

func TestVersion1HasNoMetadata(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 1)
	s := p.sink(t, labels(t))
	if _, err := s.Write(t.Context(), young(1)); err == nil || !strings.Contains(err.Error(), "KV version 1") {
		t.Errorf("Write: %v", err)
	}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "KV version 1") {
		t.Errorf("Check: %v", err)
	}
	if n := p.requests(t, http.MethodPut); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestRemoveLeavesWhatIsNotTheToken(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		p.put(t, map[string]any{"password": "a person's"})
		must(t, s.Remove(t.Context()))
		if p.data(t)["password"] != "a person's" {
			t.Error("Remove took away what a person had put there")
		}
	})
}

func TestARemovedTokenCanBeUndeletedWithTheVersionsBeforeIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	p.put(t, map[string]any{"password": "older than tokend"})
	s := p.sink(t, sink.Options{})
	write(t, s, young(1), true)
	must(t, s.Remove(t.Context()))
	if p.data(t) != nil {
		t.Error("Remove left the token")
	}
	old := p.server.Do(t, http.MethodGet, p.mount+"/data/"+entry+"?version=1", nil)
	if data, _ := old["data"].(map[string]any); data["password"] != "older than tokend" {
		t.Error("Remove took older versions with it")
	}
}
