package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/vault"
	bed "github.com/tokend-project/tokend/test/testbed/vault"
)

func TestVersion2CountsEveryWrite(t *testing.T) {
	t.Parallel()
	needServer(t)
	k := asRoot(t, server).KV(server.Mount(t, 2), 0)
	_, err := k.Read(t.Context(), "a")
	is(t, err, vault.ErrNotFound)
	isNot(t, err, vault.ErrNoMount)
	for want := 1; want <= 3; want++ {
		got, err := k.Write(t.Context(), "a", data("x"), vault.At(want-1))
		if err != nil || got != want {
			t.Fatalf("write %d made version %d, %v", want, got, err)
		}
	}
	for _, stale := range []int{0, 2, 4} {
		_, err := k.Write(t.Context(), "a", data("y"), vault.At(stale))
		is(t, err, vault.ErrCAS)
		isNot(t, err, vault.ErrAmbiguous, vault.ErrInvalid)
	}
	if got, err := k.Write(t.Context(), "a", data("z"), vault.CAS{}); err != nil || got != 4 {
		t.Fatalf("a write without condition: version %d, %v", got, err)
	}
	e, err := k.Read(t.Context(), "a")
	if err != nil || e.Version != 4 || e.Data["token"] != "z" || e.Deleted || e.Created.IsZero() {
		t.Errorf("read %+v, %v", e, err)
	}
}

// TestWhichVersionADeletedEntryHas pins what a writer has to name after somebody
// deleted or destroyed the entry: the newest number, not 0.
func TestWhichVersionADeletedEntryHas(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	k := asRoot(t, server).KV(mount, 0)
	cases := []struct {
		name      string
		do        func(path string)
		absent    bool // even its metadata
		destroyed bool
		next      int // the condition under which the next write works
	}{
		{name: "soft-deleted", next: 2, do: func(p string) {
			if err := k.Delete(t.Context(), p); err != nil {
				t.Error(err)
			}
		}},
		{name: "destroyed", destroyed: true, next: 2, do: func(p string) {
			server.Do(t, http.MethodPut, mount+"/destroy/"+p, map[string]any{"versions": []int{1, 2}})
		}},
		{name: "deleted again after it was undeleted", next: 3, do: func(p string) {
			_ = k.Delete(t.Context(), p)
			server.Do(t, http.MethodPut, mount+"/undelete/"+p, map[string]any{"versions": []int{2}})
			if e, err := k.Read(t.Context(), p); err != nil || e.Deleted {
				t.Errorf("after undelete: %+v, %v", e, err)
			}
			if _, err := k.Write(t.Context(), p, data("x"), vault.At(2)); err != nil {
				t.Error(err)
			}
			_ = k.Delete(t.Context(), p)
		}},
		{name: "removed with its metadata", absent: true, next: 0, do: func(p string) {
			if err := k.DestroyAll(t.Context(), p); err != nil {
				t.Error(err)
			}
		}},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := fmt.Sprint("entry", i)
			write(t, k, path, "one")
			write(t, k, path, "two")
			c.do(path)
			e, err := k.Read(t.Context(), path)
			m, errM := k.Metadata(t.Context(), path)
			if c.absent {
				is(t, err, vault.ErrNotFound)
				is(t, errM, vault.ErrNotFound)
			} else if err != nil || errM != nil || !e.Deleted || e.Data != nil || e.Destroyed != c.destroyed || e.Version != c.next ||
				!m.Deleted || m.Destroyed != c.destroyed || m.Version != c.next {
				t.Errorf("entry %+v, %v; metadata %+v, %v", e, err, m, errM)
			}
			if !c.absent {
				_, err = k.Write(t.Context(), path, data("three"), vault.At(0))
				is(t, err, vault.ErrCAS)
			}
			if v, err := k.Write(t.Context(), path, data("three"), vault.At(c.next)); err != nil || v != c.next+1 {
				t.Errorf("the write at %d: version %d, %v", c.next, v, err)
			}
		})
	}
}

func TestRemovingWhatIsNotThereIsNoError(t *testing.T) {
	t.Parallel()
	needServer(t)
	for version := 1; version <= 2; version++ {
		k := asRoot(t, server).KV(server.Mount(t, version), 0)
		if err := errors.Join(k.Delete(t.Context(), "a"), k.DestroyAll(t.Context(), "a")); err != nil {
			t.Errorf("version %d: %v", version, err)
		}
		if names, err := k.List(t.Context(), ""); err != nil || len(names) != 0 {
			t.Errorf("version %d: an empty mount lists %v, %v", version, names, err)
		}
	}
}

func TestVersion1HasNeitherVersionsNorConditions(t *testing.T) {
	t.Parallel()
	needServer(t)
	k := asRoot(t, server).KV(server.Mount(t, 1), 0)
	_, err := k.Write(t.Context(), "a", data("x"), vault.At(0))
	is(t, err, vault.ErrVersion)
	_, err = k.Metadata(t.Context(), "a")
	is(t, err, vault.ErrVersion)
	is(t, k.PutMetadata(t.Context(), "a", nil, 1), vault.ErrVersion)
	_, err = k.Read(t.Context(), "a")
	is(t, err, vault.ErrNotFound)
	write(t, k, "a", "x")
	if e, err := k.Read(t.Context(), "a"); err != nil || e.Data["token"] != "x" || e.Version != 0 {
		t.Errorf("read %+v, %v", e, err)
	}
	if err := k.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	_, err = k.Read(t.Context(), "a")
	is(t, err, vault.ErrNotFound)
}

// TestAWriteInVersion2sMannerNeverReachesAMountOfVersion1: it would store an entry
// "data/a" there, and then fail.
func TestAWriteInVersion2sMannerNeverReachesAMountOfVersion1(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 1)
	for _, version := range []int{0, 2} {
		k := asRoot(t, server).KV(mount, version)
		_, err := k.Write(t.Context(), "a", data("x"), vault.At(0))
		is(t, err, vault.ErrVersion)
	}
	if n := server.Count(t, "PUT /v1/"+mount); n != 0 {
		t.Errorf("%d writes reached the mount", n)
	}
}

func TestAnotherEngineIsNoKV(t *testing.T) {
	t.Parallel()
	needServer(t)
	_, err := asRoot(t, server).KV("sys", 0).Read(t.Context(), "a")
	is(t, err, vault.ErrVersion)
	says(t, err, "no KV engine")
}

func TestOneRequestAWriteOnceTheVersionIsKnown(t *testing.T) {
	t.Parallel()
	needServer(t)
	for version := 1; version <= 2; version++ {
		mount := server.Mount(t, version)
		k := asRoot(t, server).KV(mount, 0)
		write(t, k, "a", "x")
		before := about(t, mount)
		for range 5 {
			write(t, k, "a", "y")
		}
		if n := about(t, mount) - before; n != 5 {
			t.Errorf("version %d: %d requests for 5 writes", version, n)
		}
	}
}

// about counts the requests whose path holds a word.
func about(t *testing.T, word string) (sum int) {
	t.Helper()
	seen, err := server.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, n := range seen {
		if strings.Contains(what, word) {
			sum += n
		}
	}
	return sum
}

func TestListAndMetadata(t *testing.T) {
	t.Parallel()
	needServer(t)
	k := asRoot(t, server).KV(server.Mount(t, 2), 2)
	for _, p := range []string{"b", "a", "folder/x", "folder/y z", "folder/50%?#&é"} {
		write(t, k, p, p)
		if e, err := k.Read(t.Context(), p); err != nil || e.Data["token"] != p {
			t.Errorf("read %s: %+v, %v", p, e, err)
		}
	}
	for prefix, want := range map[string]string{
		"": "[a b folder/]", "/": "[a b folder/]", "folder": "[50%?#&é x y z]", "folder/": "[50%?#&é x y z]", "absent": "[]",
	} {
		if names, err := k.List(t.Context(), prefix); err != nil || fmt.Sprint(names) != want {
			t.Errorf("list %q: %v, %v, want %s", prefix, names, err, want)
		}
	}
	custom := map[string]string{"tokend/generation": "7"}
	if err := k.PutMetadata(t.Context(), "a", custom, 2); err != nil {
		t.Fatal(err)
	}
	write(t, k, "a", "again")
	m, err := k.Metadata(t.Context(), "a")
	if err != nil || m.Version != 2 || m.Custom["tokend/generation"] != "7" || m.MaxVersions != 2 || m.Updated.IsZero() {
		t.Errorf("metadata %+v, %v", m, err)
	}
	if e, err := k.Read(t.Context(), "a"); err != nil || e.Metadata["tokend/generation"] != "7" {
		t.Errorf("read %+v, %v", e, err)
	}
	if err := k.PutMetadata(t.Context(), "a", nil, 5); err != nil {
		t.Fatal(err)
	}
	if m, err := k.Metadata(t.Context(), "a"); err != nil || m.Custom["tokend/generation"] != "7" || m.MaxVersions != 5 {
		t.Errorf("nil took the custom metadata away: %+v, %v", m, err)
	}
	if err := k.PutMetadata(t.Context(), "unwritten", custom, 0); err != nil {
		t.Error(err)
	}
	if v, err := k.Write(t.Context(), "unwritten", data("x"), vault.At(0)); err != nil || v != 1 {
		t.Errorf("the first write after its metadata: version %d, %v", v, err)
	}
}

func TestPathsThatLeadElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	needServer(t)
	c := asRoot(t, server)
	for _, p := range []string{"", "/", "..", "../sys/policy/x", "a/../b", "a//b", "./a", "a/.", "a\nb", "a\x00", "\xff", " a", "a /b"} {
		_, err := c.KV("untouched", 2).Write(t.Context(), p, data("x"), vault.CAS{})
		is(t, err, vault.ErrInvalid)
		_, err = c.KV(p, 2).Write(t.Context(), "untouched", data("x"), vault.CAS{})
		is(t, err, vault.ErrInvalid)
		_, err = c.Field(t.Context(), p, "x")
		is(t, err, vault.ErrInvalid)
	}
	_, err := c.KV("untouched", 3).Read(t.Context(), "a")
	is(t, err, vault.ErrInvalid)
	if n := about(t, "untouched"); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestAMountThatIsNotThere(t *testing.T) {
	t.Parallel()
	needServer(t)
	c := asRoot(t, server)
	for _, version := range []int{0, 1, 2} {
		_, err := c.KV("absent/mount", version).Write(t.Context(), "a", data("x"), vault.CAS{})
		is(t, err, vault.ErrNoMount)
		isNot(t, err, vault.ErrNotFound, vault.ErrAmbiguous)
		_, err = c.KV("absent/mount", version).Read(t.Context(), "a")
		is(t, err, vault.ErrNoMount)
	}
	_, err := c.KV(server.Mount(t, 2)+"/below", 0).Read(t.Context(), "a")
	is(t, err, vault.ErrNoMount)
	says(t, err, "lies in the mount")
}

// TestAMountThatComesBackAsAnotherVersion is removed under a client that knows it.
func TestAMountThatComesBackAsAnotherVersion(t *testing.T) {
	t.Parallel()
	needServer(t)
	const mount = "comes/back"
	server.MountAt(t, mount, 2)
	k := asRoot(t, server).KV(mount, 0)
	write(t, k, "a", "x")
	server.Unmount(t, mount)
	_, err := k.Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrNoMount)
	server.MountAt(t, mount, 1)
	write(t, k, "a", "y")
	if v, err := k.Version(t.Context()); err != nil || v != 1 {
		t.Errorf("version %d, %v", v, err)
	}
	if names, err := k.List(t.Context(), ""); err != nil || fmt.Sprint(names) != "[a]" {
		t.Errorf("the mount of version 1 holds %v, %v", names, err)
	}
}

func TestCheckNamesWhatAPolicyLacks(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	rules := `path "` + mount + `/data/a" { capabilities = ["create", "read"] }`
	policy := server.Policy(t, rules)
	c := open(t, server, vault.Options{Auth: given(server.Token(t, bed.Token{Policies: []string{policy}}))})
	k := c.KV(mount, 0)
	err := k.Check(t.Context(), "a")
	is(t, err, vault.ErrDenied)
	says(t, err, "update", `path "`+mount+`/data/a" { capabilities = ["create", "read", "update"] }`)
	if err := k.Check(t.Context(), "a", "read"); err != nil {
		t.Error(err)
	}
	server.SetPolicy(t, policy, strings.Replace(rules, `"read"`, `"read", "update"`, 1))
	if err := k.Check(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if err := asRoot(t, server).KV(mount, 0).Check(t.Context(), "a"); err != nil {
		t.Errorf("root: %v", err)
	}
}

func TestAMountThatMayNotBeAskedFor(t *testing.T) {
	t.Parallel()
	needServer(t)
	mount := server.Mount(t, 2)
	c := open(t, server, vault.Options{Auth: given(server.Token(t, bed.Token{Policies: []string{"default"}}))})
	_, err := c.KV(mount, 0).Read(t.Context(), "a")
	is(t, err, vault.ErrDenied)
	says(t, err, "grant", "set the version")
	_, err = c.KV(mount, 2).Read(t.Context(), "a")
	is(t, err, vault.ErrDenied)
	want := `path "` + mount + `/data/a" { capabilities = ["read"] }`
	says(t, err, want)
	if e, ok := errors.AsType[*vault.Error](err); !ok || e.Denied != want {
		t.Errorf("error %#v has no policy to add", err)
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	needServer(t)
	c := asRoot(t, server)
	for version, mount := range map[int]string{1: "deep/mount/one", 2: "deep/mount/two"} {
		server.MountAt(t, mount, version)
		k := c.KV(mount, 0)
		values := map[string]any{"password": "hünter2", "port": 5432, "big": 1234567890123, "on": true, "list": []int{1}, "none": nil}
		if _, err := k.Write(t.Context(), "apps/shop", values, vault.CAS{}); err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]string{"password": "hünter2", "port": "5432", "big": "1234567890123", "on": "true"} {
			if got, err := c.Field(t.Context(), mount+"/apps/shop", field); err != nil || got.Reveal() != want {
				t.Errorf("version %d: field %s is %q, %v", version, field, got.Reveal(), err)
			}
		}
		for field, kind := range map[string]error{"absent": vault.ErrNotFound, "none": vault.ErrNotFound, "list": vault.ErrInvalid} {
			_, err := c.Field(t.Context(), mount+"/apps/shop", field)
			is(t, err, kind)
			says(t, err, field)
		}
		_, err := c.Field(t.Context(), mount+"/apps/none", "password")
		is(t, err, vault.ErrNotFound)
		_, err = c.Field(t.Context(), mount, "password")
		is(t, err, vault.ErrInvalid)
		_ = k.Delete(t.Context(), "apps/shop")
		_, err = c.Field(t.Context(), mount+"/apps/shop", "password")
		is(t, err, vault.ErrNotFound)
	}
	_, err := c.Field(t.Context(), "deep/mount/two/data/apps/shop", "password")
	says(t, err, `leave out the "data/"`)
	_, err = c.Field(t.Context(), "deep/nothing/here", "password")
	is(t, err, vault.ErrNoMount)
}
