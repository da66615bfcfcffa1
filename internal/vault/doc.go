// Package vault is the client of HashiCorp Vault and of servers that speak its
// API: it logs in, keeps its own token alive, and reads and writes the KV secrets
// engine, versions 1 and 2. It knows nothing of sinks, records or schedules.
//
// # What it takes from the library, and what not
//
// Requests are built and token leases are renewed by github.com/hashicorp/vault/api.
// Three habits of that library are switched off, because each would cost a user
// something:
//
//   - It retries by itself, writes included. A write whose answer got lost would
//     be repeated, and would then look like somebody else's (a check-and-set
//     mismatch). Here each call is one request; who called decides what follows.
//   - It takes its token, namespace, headers, proxy and more from the environment,
//     even next to an explicit configuration. Here [Options] are all there is.
//   - It follows a redirect to wherever it points, with the token. Here a standby's
//     redirect is followed to addresses that [Options] name, and to no other.
//
// # The road of a request
//
// [KV] asks [Client] for a session: a token and where it came from. There is none
// at first; the first request that needs one logs in, and all that come meanwhile
// wait for the same login. A 403 may mean that the token died, so the server is
// asked about the token itself, and a dead one is replaced and the request sent
// once more. A live token that is denied is replaced too, because a role may have
// got other policies since, but ever more rarely, so that a policy that says no
// doesn't turn into a storm of logins. [Client.Run] renews the token and logs in
// again before it ends; [Client.Close] revokes it.
//
// # Errors
//
// Every error of a request is an [*Error]. It says in plain words what happened
// and what to do, wraps one or more of this package's sentinels, and never holds
// what the server sent: a body may carry what it should not.
package vault
