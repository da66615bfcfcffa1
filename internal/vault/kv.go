package vault

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// KV is one mount of the KV secrets engine. It is safe for concurrent use. Paths
// are relative to the mount, in the same spelling for version 1 and 2: "data/" and
// "metadata/" are added where version 2 wants them.
type KV struct {
	client  *Client
	mount   string
	fault   error        // of the mount's path
	given   int          // the version that the configuration says; 0: none
	version atomic.Int32 // as detected, or given where the server won't say; 0: not yet

	detection *detection // under way; the client's lock guards it
}

// Entry is what is stored at a path.
type Entry struct {
	// Data is nil when Deleted. Numbers are json.Number.
	Data map[string]any
	// Version counts up from 1 with every write; 0 on a mount of version 1. It is
	// what [At] takes, for a deleted entry as well.
	Version int
	// Deleted: the newest version was deleted or destroyed. Its number still counts.
	Deleted bool
	// Destroyed: it was destroyed, and can't be undeleted.
	Destroyed bool
	Created   time.Time         // of this version, by the server's clock; zero on version 1
	Metadata  map[string]string // custom metadata of the path; nil on version 1
}

// Metadata is what version 2 knows about a path, without its data.
type Metadata struct {
	Version     int  // the newest; what [At] takes
	Deleted     bool // the newest version was deleted or destroyed
	Destroyed   bool
	Updated     time.Time // by the server's clock
	Custom      map[string]string
	MaxVersions int  // of this path; 0: the mount's setting
	CASRequired bool // of this path: a write must come with a CAS
}

// CAS is a condition of a write. The zero CAS is none. Version 1 has no such
// thing, and refuses a write that asks for it.
type CAS struct {
	version int
	set     bool
}

// At is the condition that the newest version is n. At(0) means that nothing was
// ever written there, or that all of it was removed with its metadata; a deleted
// or destroyed newest version still counts with its number.
func At(n int) CAS { return CAS{version: n, set: true} }

// KV returns the mount at that path. version is 1 or 2, or 0: it is asked for at
// first use, and remembered until the mount turns out to be gone. A version that
// was given is compared with the server's word where the token may ask for it,
// because a write in the wrong version's manner destroys data. No request is made
// here; a mount path or version that is not valid is an error of each call
// (ErrInvalid).
func (c *Client) KV(mount string, version int) *KV {
	clean, err := cleanPath(mount)
	if err == nil && (version < 0 || version > 2) {
		err = errors.New("the version is 1, 2, or 0 for the one that the server says")
	}
	if err != nil {
		return &KV{client: c, fault: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := place{clean, version}
	if c.mounts[at] == nil {
		c.mounts[at] = &KV{client: c, mount: clean, given: version}
	}
	return c.mounts[at]
}

// place is a mount as the configuration names it. All who name the same share what
// is known of it.
type place struct {
	mount   string
	version int
}

// Version is the mount's version, 1 or 2. It makes a request when it is not known yet.
func (k *KV) Version(ctx context.Context) (int, error) {
	return k.resolve(ctx, &request{op: "use mount " + k.mount})
}

// prepare checks a path and puts it where the mount's version wants it: below the
// prefix on version 2. want is the version that the call needs, 0 for any.
func (k *KV) prepare(ctx context.Context, r request, path, prefix string, want int) (request, int, error) {
	clean, err := cleanPath(path)
	r.op += " " + k.mount + "/" + clean
	if err != nil {
		return r, 0, &Error{Op: r.op, says: "the path is not valid", kinds: []error{ErrInvalid}, err: err}
	}
	version, err := k.resolve(ctx, &r)
	if err != nil {
		return r, 0, err
	}
	if want != 0 && version != want {
		return r, 0, &Error{Op: r.op, says: "the mount is of version 1, which has neither versions nor metadata; it needs a KV mount of version 2", kinds: []error{ErrVersion}}
	}
	r.path = k.mount + "/" + clean
	if version == 2 {
		r.path = k.mount + "/" + prefix + "/" + clean
	}
	return r, version, nil
}

func (k *KV) do(ctx context.Context, r request) (document, error) {
	doc, err := k.client.do(ctx, r)
	if errors.Is(err, ErrNoMount) {
		k.forget()
	}
	return doc, err
}

// Read returns the newest version. ErrNotFound when there is none; a deleted one is
// an Entry that says so, and no error.
func (k *KV) Read(ctx context.Context, path string) (Entry, error) {
	r, version, err := k.prepare(ctx, request{op: "read", method: http.MethodGet, needs: "read"}, path, "data", 0)
	if err != nil {
		return Entry{}, err
	}
	doc, err := k.do(ctx, r)
	if version == 2 {
		return entry(r, doc, err)
	}
	if err != nil {
		return Entry{}, err
	}
	return Entry{Data: doc.Data}, nil
}

// entry reads the answer of version 2. A deleted version is a 404 with metadata.
func entry(r request, doc document, err error) (Entry, error) {
	about, ok := doc.Data["metadata"].(map[string]any)
	if !ok {
		if err == nil {
			err = strange(r)
		}
		return Entry{}, err
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Entry{}, err
	}
	e := Entry{Created: instant(about["created_time"]), Metadata: texts(about["custom_metadata"])}
	if e.Version, err = number(about["version"]); err != nil {
		return Entry{}, strange(r)
	}
	e.Destroyed, _ = about["destroyed"].(bool)
	e.Data, ok = doc.Data["data"].(map[string]any)
	e.Deleted = !ok
	return e, nil
}

func strange(r request) error {
	return &Error{Op: r.op, says: "the answer is not that of a KV mount of version 2", kinds: []error{ErrAmbiguous}}
}

// Write stores data, all of it anew, and returns the version that this made (0 on a
// mount of version 1). It is one request. ErrCAS when the condition doesn't hold;
// after ErrAmbiguous the caller reads before it writes again.
func (k *KV) Write(ctx context.Context, path string, data map[string]any, cas CAS) (int, error) {
	want := 0
	if cas.set {
		want = 2
	}
	r, version, err := k.prepare(ctx, request{op: "write", method: http.MethodPut, needs: "create update"}, path, "data", want)
	if err != nil {
		return 0, err
	}
	r.body = data
	if version == 1 {
		_, err = k.do(ctx, r)
		return 0, err
	}
	options := map[string]any{}
	if cas.set {
		options["cas"] = cas.version
	}
	r.body = map[string]any{"data": data, "options": options}
	doc, err := k.do(ctx, r)
	if err != nil {
		return 0, err
	}
	made, err := number(doc.Data["version"])
	if err != nil {
		k.forget() // the mount may have been replaced by one of version 1
		return 0, strange(r)
	}
	return made, nil
}

// Delete removes the newest version: on version 2 it can be undeleted, and its
// number still counts. Where nothing is stored, it does nothing.
func (k *KV) Delete(ctx context.Context, path string) error {
	return k.remove(ctx, "delete", path, "data")
}

// DestroyAll removes all versions and their metadata for good. Where nothing is
// stored, it does nothing.
func (k *KV) DestroyAll(ctx context.Context, path string) error {
	return k.remove(ctx, "destroy", path, "metadata")
}

func (k *KV) remove(ctx context.Context, op, path, prefix string) error {
	r, _, err := k.prepare(ctx, request{op: op, method: http.MethodDelete, needs: "delete"}, path, prefix, 0)
	if err == nil {
		_, err = k.do(ctx, r)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// List returns the names right below prefix, sorted; one that ends in a slash is a
// folder. "" lists the mount. An absent prefix is an empty list.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) {
	r := request{op: "list", method: "LIST", needs: "list"}
	var err error
	if strings.Trim(prefix, "/") == "" {
		r.op += " " + k.mount
		var version int
		version, err = k.resolve(ctx, &r)
		r.path = k.mount
		if version == 2 {
			r.path += "/metadata"
		}
	} else {
		r, _, err = k.prepare(ctx, r, prefix, "metadata", 0)
	}
	if err != nil {
		return nil, err
	}
	doc, err := k.do(ctx, r)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, _ := doc.Data["keys"].([]any)
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		if name, ok := key.(string); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
