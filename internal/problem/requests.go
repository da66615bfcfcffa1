package problem

// requests are token requests that brought no answer. The codes are the reasons
// of package endpoint.
var requests = []Entry{
	{
		Code:   "resolve",
		Title:  "The name of the token endpoint does not resolve",
		Cause:  "The resolver knows no address for the host in token_endpoint, or does not answer. Nothing was sent, so nothing is lost.",
		Remedy: "Check the host's spelling and the resolver of the machine or pod (getent hosts NAME). tokend keeps trying.",
	},
	{
		Code:   "dial",
		Title:  "The server cannot be reached",
		Cause:  "No connection to the token endpoint came about: it was refused, there is no route, or a firewall drops it. Nothing was sent.",
		Remedy: "Check from the same machine that the address and port can be reached (curl -v). In Kubernetes, look at network policies. tokend keeps trying.",
	},
	{
		Code:   "tls",
		Title:  "TLS with the server failed",
		Cause:  "The server's certificate is not trusted, has expired or names another host; or the server refused the client certificate, or speaks nothing newer than TLS 1.1. Nothing was sent.",
		Remedy: "The message says which. For a CA of your own set ca_file in the provider's tls block; for mutual TLS check cert_file and key_file. Certificates that are renewed on disk are taken up without a restart.",
	},
	{
		Code:   "request",
		Title:  "The token request cannot be written down",
		Cause:  "A parameter or header of the configuration holds something that cannot be encoded in the way that it is to be sent.",
		Remedy: "The message names it. Correct the provider's request block or the grant, and reload.",
	},
	{
		Code:   "write",
		Title:  "The connection broke while the request was sent",
		Cause:  "The server or something on the way closed the connection. Whether the server has read the request cannot be known.",
		Remedy: "Nothing, unless it repeats: then look for a proxy or load balancer that closes connections. tokend decides by the provider's rotation and grace whether the refresh token may be shown again.",
	},
	{
		Code:   "read",
		Title:  "The connection broke before an answer was read",
		Cause:  "The request was sent, and the connection ended before a complete answer came: the server crashed, restarted or was cut off. A refresh token may have been spent.",
		Remedy: "Nothing, unless it repeats: then the server's log tells why. Where the grant can log in, tokend does; where it cannot, the live token is served and one replay is made late.",
	},
	{
		Code:   "timeout",
		Title:  "The server did not answer in time",
		Cause:  "Within the provider's timeout, or a part of the token's remaining lifetime if that is less, no complete answer came.",
		Remedy: "If the server is merely slow, raise timeout in the provider block. If it hangs, its operator has to look.",
	},
	{
		Code:   "canceled",
		Title:  "The request was given up",
		Cause:  "The daemon was stopped, and a login was under way for longer than a shutdown waits. Refreshes are never given up.",
		Remedy: "Nothing. The next start goes on.",
	},
	{
		Code:   "not_sent",
		Title:  "The request was not sent",
		Cause:  "No byte of the token request left this machine, so nothing was spent and nothing is lost.",
		Remedy: "The message says what is in the way. tokend keeps trying, ever less often.",
	},
	{
		Code:   "ambiguous",
		Also:   []string{"unclassified"},
		Title:  "Nobody knows whether the request took effect",
		Cause:  "The request was sent and no definite answer came back. A refresh token may or may not have been spent.",
		Remedy: "Nothing: tokend logs in where the grant can, and else shows the refresh token again when that is safest. If it repeats, the server's log tells why.",
	},
}

// answers are those of 2xx that hold no usable token, and other answers that
// were not a definite no.
var answers = []Entry{
	{
		Code:   "redirect",
		Title:  "The token endpoint redirects",
		Cause:  "The server answered with a 3xx. tokend does not follow it, because secrets would go to another address.",
		Remedy: "Set token_endpoint to where the redirect leads; often that is https instead of http, or another trailing slash.",
	},
	{
		Code:   "content_type",
		Title:  "The server answered with a page instead of a token",
		Cause:  "The answer is a success by its status, and its body is HTML or plain text: a login page, a proxy's notice, or a wrong address.",
		Remedy: "Check token_endpoint. A captive portal or a proxy may answer in the server's place.",
	},
	{
		Code:   "xml",
		Title:  "The server answered in XML",
		Cause:  "Some servers send XML unless they are asked for JSON.",
		Remedy: `Add headers = { Accept = "application/json" } to the provider's request block, or use the profile that has it.`,
	},
	{
		Code:   "json",
		Title:  "The server's JSON is broken",
		Cause:  "The body starts like a JSON object and is none: it was cut off, or the server writes it wrongly.",
		Remedy: "If it repeats, show the server's operator the answer of a request with curl.",
	},
	{
		Code:   "empty",
		Title:  "The server's answer is empty",
		Cause:  "The status says success, and there is no body.",
		Remedy: "Check token_endpoint and, if it repeats, the server's log.",
	},
	{
		Code:   "oversize",
		Title:  "The server's answer is larger than a megabyte",
		Cause:  "No token is that large. tokend stopped reading.",
		Remedy: "Check token_endpoint: something else seems to answer there.",
	},
	{
		Code:   "content_encoding",
		Title:  "The server's answer is compressed",
		Cause:  "tokend offered no compression, and the server or a proxy used it all the same.",
		Remedy: "Switch compression off for the token endpoint at the server or proxy.",
	},
	{
		Code:   "missing_token",
		Title:  "There is no access token in the answer",
		Cause:  "The answer was understood and has nothing under the name at which the access token is expected.",
		Remedy: "If the server uses a name of its own, set access_token in the provider's response block, for example access_token = \"data.token\".",
	},
	{
		Code:   "access_token",
		Title:  "The access token holds forbidden characters",
		Cause:  "It contains line breaks, control characters or others that RFC 6750 does not allow. Written into a header or a file it could smuggle something in.",
		Remedy: "Tell the server's operator. A good refresh token in the same answer was kept.",
	},
	{
		Code:   "token_type",
		Title:  "The access token is not a bearer token",
		Cause:  "The server issued a token of a type, such as DPoP or mac, that needs a proof with every use (RFC 6749 section 7.1).",
		Remedy: "Configure the client at the server for bearer tokens.",
	},
	{
		Code:   "duplicate_key",
		Title:  "A field stands twice in the answer",
		Cause:  "The same field is there more than once, or in two spellings, and two readers could take different values for it.",
		Remedy: "Tell the server's operator; the message names the field.",
	},
	{
		Code:   "salvaged",
		Title:  "The access token was unusable, the refresh token was kept",
		Cause:  "The answer as a whole could not be used, and had a well-formed refresh token in it that has replaced the old one.",
		Remedy: "See what was wrong with the answer: that is the problem of the attempt.",
	},
	{
		Code:   "odd_answer",
		Title:  "The server departs from the protocol",
		Cause:  "The answer departs from RFC 6749 in a way that tokend tolerates, for example a lifetime that is a string.",
		Remedy: "Nothing.",
	},
}
