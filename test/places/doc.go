// Package places tests the daemon, as a process of its own, where its tokens,
// records and secrets are in Kubernetes and Vault: against a real kube-apiserver, a
// real Vault and an authorization server without mercy, which ends a family of
// tokens when a refresh token is shown twice and counts every request.
//
// What all of them show is one promise: whatever happens to a place, it costs no
// token request, and no other place waits for it.
package places
