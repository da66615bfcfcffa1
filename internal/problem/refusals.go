package problem

// refusals are definite answers that say no: the error codes of RFC 6749 section
// 5.2 and its family, and the classes that stand for codes of a server's own.
var refusals = []Entry{
	{
		Code:   "invalid_grant",
		Title:  "The server refused the refresh token or the login",
		Cause:  "The refresh token is expired, revoked, already used or another client's; or, of a login, user name and password or the assertion are wrong (RFC 6749 section 5.2).",
		Remedy: "After a refused refresh tokend logs in by itself. If the login is refused, check the grant's user name and password at the server; tokend tries slowly, so that no account is locked. Put the new secret where the configuration reads it, and it is used at once.",
	},
	{
		Code:   "invalid_client",
		Title:  "The server does not accept client id and secret",
		Cause:  "The client is unknown, its secret is wrong or was rotated, or the server wants another way of client authentication (RFC 6749 section 5.2).",
		Remedy: "Compare client_id and client_secret with the server's. If they are right, try another client_auth, or basic_encoding = \"raw\" where they hold special characters. A secret file that changes is read again at once.",
	},
	{
		Code:   "unauthorized_client",
		Title:  "The client may not use this grant",
		Cause:  "The server knows the client and does not allow it this grant type.",
		Remedy: "Allow the grant type for the client at the server, or configure another grant.",
	},
	{
		Code:   "unsupported_grant_type",
		Title:  "The server does not know this grant",
		Cause:  "The server has no such grant type, or reads the parameters from another place than they are sent in.",
		Remedy: "Check the label of the grant block, and params_in of the provider's request block.",
	},
	{
		Code:   "invalid_scope",
		Also:   []string{"invalid_target"},
		Title:  "The server does not grant this scope",
		Cause:  "A scope (or a resource, RFC 8707) is unknown to the server, or more than client or user may have.",
		Remedy: "Correct scope in the grant block, or allow it at the server.",
	},
	{
		Code:   "invalid_request",
		Title:  "The server cannot read the request",
		Cause:  "A parameter is missing, stands twice, or is not where the server looks for it.",
		Remedy: "Compare the provider's request block (method, params_in, params, headers) with the server's documentation. The message may name the parameter.",
	},
	{
		Code:   "access_denied",
		Title:  "The server denies access",
		Cause:  "A rule of the server or a decision of a person speaks against this login: consent, multi-factor authentication, or a policy.",
		Remedy: "The server's log names the rule. A grant that runs without a person must be exempt from rules that need one.",
	},
	{
		Code:   "temporarily_unavailable",
		Also:   []string{"slow_down", "transient", "throttled"},
		Title:  "The server asks for a pause",
		Cause:  "It is overloaded or limits requests (HTTP 429, temporarily_unavailable, slow_down). tokend waits as long as Retry-After says, an hour at most, and slows down all tokens of the provider.",
		Remedy: "Nothing, unless tokens expire meanwhile: then lower rate and concurrency in the provider's limits block, or ask for a higher limit.",
	},
	{
		Code:   "server_error",
		Title:  "The server failed",
		Cause:  "It answered with an error of its own. Whether a refresh token was spent cannot be known for certain.",
		Remedy: "Nothing: tokend tries again, ever less often, and causes no logins by it. The server's log tells more.",
	},
	{
		Code:   "http_status",
		Title:  "The server answered with an HTTP error",
		Cause:  "The status says no, and no error code of OAuth explains it. 404, 405 or 415 speak of the address or the shape of the request; 401 and 403 of client or user; 5xx of the server itself.",
		Remedy: "The message has the status. Check token_endpoint, method and params_in for 4xx; for 5xx the server's operator has to look.",
	},
	{
		Code:   "oauth_error",
		Also:   []string{"rejected"},
		Title:  "The server refused the request",
		Cause:  "It gave an error code of its own, which stands in the message.",
		Remedy: "Look the code up in the server's documentation. A refused refresh is followed by a login; a refused login is tried slowly, so that no account is locked.",
	},
	{
		Code:   "misconfigured",
		Title:  "The server refused the request for a reason that only a change mends",
		Cause:  "Client, scope, address or grant type are not what the server wants. Its own code stands in the message.",
		Remedy: "Correct the configuration or the client at the server. tokend tries once in a while, and at once when configuration or a secret changes.",
	},
	{
		Code:   "refresh_refused",
		Title:  "The refresh token was refused, and a login follows",
		Cause:  "The server took the refresh token for dead: it expired, was revoked, or somebody else used it.",
		Remedy: "Nothing, if it is rare. If it happens at every refresh, set use = false in refresh_tokens; if somebody else uses the same grant, give tokend one of its own.",
	},
}
