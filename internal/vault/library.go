package vault

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
)

// newLibrary returns the library's client without a token, with everything undone
// that it took from the environment. The first address is what it builds its
// requests for; the road sends them where they belong.
func newLibrary(r *road, o Options) (*api.Client, error) {
	lib, err := api.NewClient(&api.Config{
		Address: r.addresses[0].String(),
		HttpClient: &http.Client{
			Transport:     r,
			Timeout:       o.Timeout, // renewals have no other
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		// The library cancels the context of a raw write before its answer is read
		// when it has a timeout of its own.
		Timeout:          0,
		MaxRetries:       0,
		CheckRetry:       func(context.Context, *http.Response, error) (bool, error) { return false, nil },
		DisableRedirects: true,
	})
	if err != nil {
		return nil, environmentFault(err)
	}
	lib.ClearToken()
	headers := http.Header{
		api.RequestHeaderName: {"true"}, // against server-side request forgery, as agents ask for it
		"User-Agent":          {"tokend"},
	}
	if o.Namespace != "" {
		headers.Set(api.NamespaceHeaderName, o.Namespace)
	}
	lib.SetHeaders(headers)
	// The library's own function would have answers wrapped when VAULT_WRAP_TTL says so.
	lib.SetWrappingLookupFunc(func(string, string) string { return "" })
	return lib, nil
}

// environmentFault explains an error that an explicit configuration cannot cause:
// the library parses its variables before it looks at what it was given.
func environmentFault(err error) error {
	var set []string
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "VAULT_") {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return fmt.Errorf("prepare Vault's client library: %w", err)
	}
	slices.Sort(set)
	return fmt.Errorf("prepare Vault's client library: it can't read a variable of the environment that tokend has no use for; unset or correct one of %s: %w",
		strings.Join(set, ", "), err)
}

// request is one call of the API. It is sent once.
type request struct {
	op     string // for messages: what is tried
	method string // GET, PUT, DELETE, LIST
	path   string // without /v1/; not escaped
	body   map[string]any
	query  url.Values
	needs  string // capabilities that a policy has to grant, for the message of a 403
}

// emit hands a request to the library. Its answer's body is to be closed; it comes
// along with an error when the status is one.
func emit(ctx context.Context, lib *api.Client, r request, body []byte) (*api.Response, error) {
	logical := lib.Logical()
	switch r.method {
	case http.MethodPut:
		return logical.WriteRawWithContext(ctx, r.path, body)
	case http.MethodDelete:
		return logical.DeleteRawWithContext(ctx, r.path)
	case "LIST":
		return logical.ReadRawWithDataWithContext(ctx, r.path, url.Values{"list": {"true"}})
	default:
		return logical.ReadRawWithDataWithContext(ctx, r.path, r.query)
	}
}
