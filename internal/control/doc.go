// Package control is the daemon's own interface: HTTP/1.1 and JSON over a unix
// socket, spoken by [Server] on the daemon's side and by [Client] on the side
// of the commands.
//
// The socket is the door to every access token, so it is guarded twice. Its
// file has mode 0600 (0660 where a group is configured) in a directory that
// nobody else may write, and the kernel's word on who is calling (SO_PEERCRED)
// is checked on every connection: the daemon's own user, root, and members of
// the configured group are let in.
//
// A secret travels in one kind of answer only, that of [Client.Token]. Status,
// fingerprints, errors and logs never hold one. Requests have no body: what is
// asked stands in the path and the query, which is why neither is ever secret.
package control
