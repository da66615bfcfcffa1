// Package page shows people and programs how the tokens stand: one page that
// keeps itself current, and the JSON behind it.
//
//	/                       the status page
//	/problems               every problem code, its cause and its remedy
//	/api/v1/tokens          the daemon and all tokens
//	/api/v1/tokens/{name}   one token and what happened to it lately
//	/api/v1/events          what changes, as server-sent events
//
// The page is one document with its style and script inside, under a policy that
// lets nothing else load or run (Content Security Policy Level 3). It can only be
// read: nothing here changes anything, and nothing here holds a secret, because
// statuses and events hold none.
//
// Where nobody looks, nothing is spent: what changed is found by comparing
// statuses, once a second for all readers together, by the requests of the readers
// themselves. There is no goroutine beside those of the HTTP server.
package page
