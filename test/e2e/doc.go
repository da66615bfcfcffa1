// Package e2e holds tokend's end-to-end tests: the built binary against
// authorization servers that nobody of this project wrote, and against one of
// its own that keeps a journal of every refresh token it was shown.
//
// Ory Hydra is built from its module (test/hydra) and oidc-provider is installed
// from its lock (test/oidc), both into the user's cache directory on first use.
// Nothing is skipped for want of a server: a test that cannot have one fails.
//
// A judge reads the file that tokend keeps and asks the server's own
// introspection endpoint about it, ten times a second. Many servers kill the
// previous access token the moment they refresh, so some milliseconds of a dead
// token are in the nature of things; they are bounded and reported.
package e2e
