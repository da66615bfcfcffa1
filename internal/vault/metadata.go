package vault

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metadata is one request, and none of the data. ErrNotFound when nothing was ever
// written; ErrVersion on a mount of version 1.
func (k *KV) Metadata(ctx context.Context, path string) (Metadata, error) {
	r, _, err := k.prepare(ctx, request{op: "read metadata of", method: http.MethodGet, needs: "read"}, path, "metadata", 2)
	if err != nil {
		return Metadata{}, err
	}
	doc, err := k.do(ctx, r)
	if err != nil {
		return Metadata{}, err
	}
	m := Metadata{Updated: instant(doc.Data["updated_time"]), Custom: texts(doc.Data["custom_metadata"])}
	if m.Version, err = number(doc.Data["current_version"]); err != nil {
		return Metadata{}, strange(r)
	}
	m.MaxVersions, _ = number(doc.Data["max_versions"])
	m.CASRequired, _ = doc.Data["cas_required"].(bool)
	versions, _ := doc.Data["versions"].(map[string]any)
	if newest, ok := versions[strconv.Itoa(m.Version)].(map[string]any); ok {
		m.Destroyed, _ = newest["destroyed"].(bool)
		at := instant(newest["deletion_time"])
		m.Deleted = m.Destroyed || (!at.IsZero() && !at.After(time.Now()))
	}
	return m, nil
}

// PutMetadata sets the custom metadata of a path, all of it anew, and how many
// versions are kept of it; nil and 0 leave them as they are. The path need not have
// been written. ErrVersion on a mount of version 1.
func (k *KV) PutMetadata(ctx context.Context, path string, custom map[string]string, maxVersions int) error {
	r, _, err := k.prepare(ctx, request{op: "write metadata of", method: http.MethodPut, needs: "create update"}, path, "metadata", 2)
	if err != nil {
		return err
	}
	r.body = map[string]any{}
	if custom != nil {
		r.body["custom_metadata"] = custom
	}
	if maxVersions != 0 {
		r.body["max_versions"] = maxVersions
	}
	_, err = k.do(ctx, r)
	return err
}

// Check asks the server, in one request and without changing anything, what the
// token may do at the path, and compares that with needs: Vault's capabilities for
// the data; none: create, read and update. The error is ErrDenied, and Denied of
// [Error] holds what a policy has to say.
func (k *KV) Check(ctx context.Context, path string, needs ...string) error {
	if len(needs) == 0 {
		needs = []string{"create", "read", "update"}
	}
	r, _, err := k.prepare(ctx, request{op: "check"}, path, "data", 0)
	if err != nil {
		return err
	}
	at := r.path
	doc, err := k.client.do(ctx, request{
		op: r.op, method: http.MethodPut, path: "sys/capabilities-self", body: map[string]any{"paths": []string{at}},
	})
	if err != nil {
		return err
	}
	granted, _ := doc.Data[at].([]any)
	if slices.Contains(granted, any("root")) {
		return nil
	}
	for _, need := range needs {
		if !slices.Contains(granted, any(need)) {
			return lacking(r.op, at, need, needs)
		}
	}
	return nil
}

func lacking(op, path, need string, needs []string) error {
	e := denied(request{path: path, needs: strings.Join(needs, " ")})
	e.Op, e.says = op, "capability "+need+" is lacking: "+e.says
	return e
}

// texts reads a map of strings; nil when it is none.
func texts(v any) map[string]string {
	values, _ := v.(map[string]any)
	if values == nil {
		return nil
	}
	m := make(map[string]string, len(values))
	for name, value := range values {
		m[name], _ = value.(string)
	}
	return m
}

// instant reads RFC 3339; an empty string is the zero time.
func instant(v any) time.Time {
	s, _ := v.(string)
	t, _ := time.Parse(time.RFC3339Nano, s)
	return t
}
