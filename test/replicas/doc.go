// Package replicas runs two and three daemons that share their tokens through
// Leases of a real API server, kills and stops them and steals their Leases, and
// then judges, from every version of every Secret and Lease and from the journal
// of an authorization server without mercy, whether they did anything twice.
package replicas
