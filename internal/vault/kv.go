package vault

import (
	"context"
	"time"
)

// KV is one mount of the KV secrets engine. It is safe for concurrent use. Paths
// are relative to the mount, in the same spelling for version 1 and 2: "data/" and
// "metadata/" are added where version 2 wants them.
type KV struct {
	client *Client
	mount  string
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
// here; a mount path that is not valid is an error of each call (ErrInvalid).
func (c *Client) KV(mount string, version int) *KV {
	return &KV{client: c, mount: mount}
}

// Version is the mount's version, 1 or 2. It makes a request when it is not known yet.
func (k *KV) Version(ctx context.Context) (int, error) { return 0, nil }

// Read returns the newest version. ErrNotFound when there is none; a deleted one is
// an Entry that says so, and no error.
func (k *KV) Read(ctx context.Context, path string) (Entry, error) { return Entry{}, nil }

// Write stores data, all of it anew, and returns the version that this made (0 on a
// mount of version 1). It is one request. ErrCAS when the condition doesn't hold;
// after ErrAmbiguous the caller reads before it writes again.
func (k *KV) Write(ctx context.Context, path string, data map[string]any, cas CAS) (int, error) {
	return 0, nil
}

// Delete removes the newest version: on version 2 it can be undeleted, and its
// number still counts. Where nothing is stored, it does nothing.
func (k *KV) Delete(ctx context.Context, path string) error { return nil }

// DestroyAll removes all versions and their metadata for good. Where nothing is
// stored, it does nothing.
func (k *KV) DestroyAll(ctx context.Context, path string) error { return nil }

// List returns the names right below prefix, sorted; one that ends in a slash is a
// folder. "" lists the mount. An absent prefix is an empty list.
func (k *KV) List(ctx context.Context, prefix string) ([]string, error) { return nil, nil }

// Metadata is one request, and none of the data. ErrNotFound when nothing was ever
// written; ErrVersion on a mount of version 1.
func (k *KV) Metadata(ctx context.Context, path string) (Metadata, error) { return Metadata{}, nil }

// PutMetadata sets the custom metadata of a path, all of it anew, and how many
// versions are kept of it; nil and 0 leave them as they are. The path need not have
// been written. ErrVersion on a mount of version 1.
func (k *KV) PutMetadata(ctx context.Context, path string, custom map[string]string, maxVersions int) error {
	return nil
}

// Check asks the server, in one request and without changing anything, whether the
// token may read and write the path ("create", "update" and "read" of Vault's
// capabilities). The error is ErrDenied, and Denied of [Error] holds the policy to
// add. needs are capabilities of the data path; none: create, read and update.
func (k *KV) Check(ctx context.Context, path string, needs ...string) error { return nil }
