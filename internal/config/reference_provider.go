package config

func providerReference() []described {
	return []described{
		{
			path: "provider", head: `provider "NAME" { … }`, often: anyNumber, schema: &providerSchema,
			meaning: "The token endpoint of an authorization server as tokend talks to it. Defaults are those of the profile `rfc6749`; another profile may have others.",
			keys: []KeyDoc{
				words("profile", []string{"greymatter", "musement", "rator", "rfc6749"}, `"rfc6749"`, "What the blocks below start from."),
				text("token_endpoint", "needed; no profile has one", "Address of the token endpoint, without a query."),
				text("client_id", "none; needed here or in the token, unless `client_auth` is `none`", "The client identifier."),
				key("client_secret", typeSecret, "none; needed like `client_id`", "The client secret."),
				key("timeout", typeDuration, `"30s"`, "Of one token request; cut short where the token has less time left."),
				key("allow_insecure_http", typeBool, "false", "Plain http to other machines than this one."),
			},
		},
		{
			path: "provider.request", head: `request { … }` + "` or `" + `request "GRANT_TYPE" { … }`, often: "one without a label, one for each grant_type", schema: &requestSchema,
			meaning: "How a token request is put together. Without a label: all of them; with one: what is different for that grant_type, `refresh_token` included. Maps are merged with those of the profile and of the block without a label, key by key; `null` takes a key away.",
			keys: []KeyDoc{
				words("method", methods, `"POST"`, "The HTTP method."),
				words("params_in", places, `"form"`, "Where parameters go: a form in the body, the query, or a JSON body."),
				words("client_auth", clientAuths, `"client_secret_basic"`, "How the client authenticates itself, by the names of RFC 7591 section 2."),
				words("basic_encoding", encodings, `"rfc6749"`, "Whether id and secret are form-encoded before they go into the Basic header, or go in as they are."),
				key("headers", typeSecrets, `{ Accept = "application/json" }`, "Headers to send."),
				key("query", typeSecrets, "{}", "Parameters that always go into the query."),
				key("params", typeSecrets, "{}", "Parameters that go where `params_in` says."),
			},
		},
		{
			path: "provider.response", head: "response { … }", often: onlyOne, schema: &responseSchema,
			meaning: "Where the answer has what: the name of a field, or a dotted path such as `data.token`.",
			keys: []KeyDoc{
				text("access_token", `"access_token"`, "Field of the access token."),
				text("refresh_token", `"refresh_token"`, "Field of the refresh token."),
				text("expires_in", `"expires_in"`, "Field of the lifetime in seconds."),
				text("token_type", `"token_type"`, "Field of the type."),
				text("scope", `"scope"`, "Field of the scope."),
				key("default_lifetime", typeDuration, `"1h"`, "The lifetime when neither the answer nor a JWT's `exp` tells it."),
			},
		},
	}
}

func policyReference() []described {
	return []described{
		{
			path: "provider.refresh_tokens", head: "refresh_tokens { … }", often: onlyOne, schema: &refreshTokensSchema,
			meaning: "What is done with refresh tokens.",
			keys: []KeyDoc{
				key("use", typeBool, "true", "Spend them; `false` logs in anew each time."),
				key("grace", typeDuration, `"0s"`, "How long the server still takes a refresh token that it has replaced."),
			},
		},
		{
			path: "provider.schedule", head: "schedule { … }", often: onlyOne, schema: &scheduleSchema,
			meaning: "When tokens are refreshed: at `refresh_at` or `lead`, whichever is earlier, and at the times of `cron`.",
			keys: []KeyDoc{
				key("refresh_at", typeNumber, "0.75", "Fraction of the lifetime, between 0 and 1."),
				key("jitter", typeNumber, "0.1", "Fraction of the lifetime, from 0 to 0.5, by which it may come earlier, so that tokens part."),
				key("lead", typeDuration, `"30s"`, "At least this long before expiry; the longest `propagation` of the sinks is added. Never more than half of the lifetime."),
				key("min_interval", typeDuration, `"10s"`, "Least time between two requests for one token, whatever the server answers."),
				key("cron", typeTexts, "[]", "Also refresh at these times: five fields, or a word such as `@daily`; `CRON_TZ=Europe/Rome` may stand before."),
				key("login_cron", typeTexts, "[]", "Log in anew at these times."),
			},
		},
		{
			path: "provider.limits", head: "limits { … }", often: onlyOne, schema: &limitsSchema,
			meaning: "Limits of the requests to this provider, over all its tokens. `Retry-After` is obeyed besides.",
			keys: []KeyDoc{
				key("concurrency", typeInteger, "64", "Requests in flight, at least 1."),
				key("rate", typeNumber, "0", "Requests per second; 0 for no limit."),
			},
		},
		{
			path: "provider.tls", head: "tls { … }", often: onlyOne, schema: &tlsSchema,
			meaning: "Certificates for the connection. Files that change are read again.",
			keys: []KeyDoc{
				key("ca_file", typePath, "the system's authorities", "PEM file of the authorities that are trusted."),
				key("cert_file", typePath, "none", "PEM file of the client certificate; comes with `key_file`."),
				key("key_file", typePath, "none", "PEM file of its key; must not be world-readable."),
			},
		},
	}
}
