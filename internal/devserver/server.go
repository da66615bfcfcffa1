package devserver

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// DefaultLifetime is how long access tokens live unless [Options] say
// otherwise: short enough to watch, long enough to use one by hand.
const DefaultLifetime = 30 * time.Second

// API names one of the documented APIs. It is also the name of the profile that
// speaks it.
type API string

// The documented APIs.
const (
	Musement   API = "musement"
	GreyMatter API = "greymatter"
	Rator      API = "rator"
)

// APIs returns all of them in the order in which they are shown.
func APIs() []API { return []API{Musement, GreyMatter, Rator} }

// Options are the settings of a [Server]. The zero value is a server with
// 30-second tokens that forgets everything when it ends.
type Options struct {
	// Lifetime of access tokens; 0 means [DefaultLifetime]. Answers give it in
	// whole seconds, truncated.
	Lifetime time.Duration

	// KeepPrevious lets the previous access token live on when a refresh has
	// issued a new one. Without it, the APIs that rotate refresh tokens kill it
	// at once.
	KeepPrevious bool

	// RequireOperator makes Rator's client_credentials grant ask for
	// operator=<username>, as newer versions of it do.
	RequireOperator bool

	// StatePath is the file that carries tokens over a restart, written with
	// mode 0600 in an existing directory. Empty means none.
	StatePath string

	// Now is the wall clock; nil means [time.Now].
	Now func() time.Time

	// Logger receives a record for every request at debug level, without any
	// parameter's value; nil means none.
	Logger *slog.Logger
}

// Server answers for the three APIs. It is safe for concurrent use.
type Server struct {
	options Options
	signer  func() (*rsa.PrivateKey, error)
	closed  chan struct{}

	mu     sync.Mutex // guards all below
	ledger *ledger
	books  map[API]*book
	faults map[API]*standingFault
	tally  tally
	behind error // why the state file is behind; nil when it is not
}

// New returns a server that knows the tokens its state file knows. A file that
// cannot be read as one is put aside under the name of StatePath with ".damaged"
// appended, and the server starts with none; any other failure to read is
// returned.
func New(o Options) (*Server, error) {
	if o.Lifetime < 0 {
		return nil, errors.New("the lifetime of access tokens must not be negative")
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		options: o,
		signer:  sync.OnceValues(newSigningKey),
		closed:  make(chan struct{}),
		ledger:  newLedger(),
		books:   demoBooks(),
		faults:  map[API]*standingFault{},
		tally:   newTally(),
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Lifetime is how long the server's access tokens live.
func (s *Server) Lifetime() time.Duration { return s.options.Lifetime }

// Handler serves the token endpoints and the resources. It must stay on a
// loopback address: its clients and passwords are public.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	tokens := map[API]handler{Musement: s.musementToken, GreyMatter: s.greymatterToken, Rator: s.ratorToken}
	resources := map[API]handler{Musement: s.musementResource, GreyMatter: s.greymatterResource, Rator: s.ratorResource}
	for _, api := range APIs() {
		mux.Handle(pathsOf(api).token, s.serve(api, tokens[api]))
		mux.Handle(pathsOf(api).resource, s.serve(api, resources[api]))
	}
	mux.HandleFunc("/", signpost)
	return mux
}

// Close releases the requests that a fault keeps hanging and writes the state
// file once more. Its error says that the file is behind. A second Close does
// nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil
	default:
		close(s.closed)
	}
	s.save()
	return s.behind
}

// paths are where an API's token endpoint and judged resource are.
type paths struct{ token, resource string }

func pathsOf(api API) paths {
	switch api {
	case Musement:
		return paths{token: "/api/v3/login", resource: "/api/v3/cities"}
	case GreyMatter:
		return paths{
			token:    "/api-gateway/auth-service/platform-auth/oauth/token",
			resource: "/api-gateway/mdm-service/wms-masterdata/catalog",
		}
	default:
		return paths{
			token:    "/appcontext/oauth/token",
			resource: "/appcontext/api/billing-groups/201506171857210002/balance",
		}
	}
}

// signpost answers for every other path.
func signpost(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString("Nothing is served here. This server has, by API, a token endpoint and a resource:\n")
	for _, api := range APIs() {
		fmt.Fprintf(&b, "  %-11s %s\n  %-11s %s\n", api, pathsOf(api).token, "", pathsOf(api).resource)
	}
	http.Error(w, b.String(), http.StatusNotFound)
}
