// Package endpoint talks to one authorization server's token endpoint: it
// sends exactly one request per [Client.Send], reads the answer, and decides
// what a failure means.
//
// # One request, and what became of it
//
// A refresh token that is presented twice costs the whole family on servers
// that detect reuse (RFC 9700 section 4.14.2), and no server says beforehand
// whether it is one. So the one question that this package must answer exactly
// is whether a byte of the request left this machine. If none did, the failure
// is [token.NotSent] and nothing was spent; if one did and no definite answer
// came back, it is [token.Ambiguous].
//
// net/http's Transport cannot answer it. It sends a GET, or any request whose
// body it can rewind, a second time when a reused connection dies under it, and
// it tells nobody that it did. The exchange is therefore written here, over
// http.ReadResponse: one connection, one write, one answer. That is little code
// because a token request is a small message and its answer a small document,
// and it leaves out what must not happen anyway: redirects, compression, proxies
// from the environment, HTTP/2 (whose streams may be retried, and which brings
// nothing to single small requests), and a pair of goroutines per connection.
//
// # What an answer is worth
//
// Servers deviate. What can be understood without doubt is taken, with a note
// in Answer.Oddities; what could be read in two ways, or could smuggle
// something into a header or a file, is refused. The refresh token is looked for
// first: whatever else is wrong with a successful answer, a well-formed
// refresh token in it is returned beside the failure, because it has replaced
// the one that was spent.
//
// # Error classes
//
// They follow the meaning of the protocol, RFC 6749 section 5.2, and where a
// server doesn't speak it, the HTTP status; see the table at classify. Errors
// hold no secret, no body and no URL. Their Reason is one of
//
//	request            the parameters can't be encoded
//	resolve dial tls   no connection
//	write read         the connection broke
//	timeout canceled   the deadline passed, or the caller's context ended
//	redirect           a 3xx
//	oauth_error        a refusal with an error code
//	http_status        a refusal without one
//	oversize content_encoding empty xml content_type json missing_token
//	access_token token_type duplicate_key
//	                   a 2xx that holds no usable token
package endpoint
