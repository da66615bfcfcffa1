package config

func tokenReference() []described {
	const theirs = "the provider's"
	return []described{
		{
			path: "token", head: `token "NAME" { … }`, often: anyNumber, schema: &tokenSchema,
			meaning: "One access token that is kept fresh. A name has up to 63 lower-case letters, digits, dots, underscores and hyphens.",
			keys: []KeyDoc{
				text("provider", "", "Name of the `provider` block."),
				text("client_id", theirs, "A client of the token's own."),
				key("client_secret", typeSecret, theirs, "Its secret."),
			},
		},
		{
			path: "token.grant", head: `grant "GRANT_TYPE" { … }`, often: "one is needed", schema: &grantSchema,
			meaning: "How tokend logs in. Every other key than `scope` is a parameter of the login, sent as it is. `client_credentials` needs none, `password` needs `username` and `password`, `refresh_token` needs `refresh_token`; any other grant_type can stand here.",
			keys: []KeyDoc{
				key("scope", typeScope, "none: no scope is sent", "What is asked for; a text has spaces between scopes."),
				key("…", typeSecret, "", "A parameter of that name."),
			},
		},
		{
			path: "token.schedule", head: "schedule { … }", often: onlyOne, schema: &scheduleSchema,
			meaning: "As in the provider, for this token alone, key by key.",
			keys: []KeyDoc{
				key("refresh_at", typeNumber, theirs, "Fraction of the lifetime, between 0 and 1."),
				key("jitter", typeNumber, theirs, "Fraction of the lifetime, from 0 to 0.5, by which it may come earlier."),
				key("lead", typeDuration, theirs, "At least this long before expiry."),
				key("min_interval", typeDuration, theirs, "Least time between two requests."),
				key("cron", typeTexts, theirs, "Also refresh at these times."),
				key("login_cron", typeTexts, theirs, "Log in anew at these times."),
			},
		},
		{
			path: "token.probe", head: "probe { … }", often: onlyOne, schema: &probeSchema,
			meaning: "A resource that is asked with the access token. A 401 there means that a new token is obtained now; nothing else has a consequence.",
			keys: []KeyDoc{
				text("url", "", "Address of the resource."),
				text("method", `"GET"`, "The HTTP method, in capitals."),
				key("headers", typeSecrets, "{}", "Headers to send beside `Authorization`."),
				key("every", typeDuration, `"1m"`, "Between two probes."),
				key("timeout", typeDuration, `"10s"`, "Of one probe."),
				key("allow_insecure_http", typeBool, "false", "Plain http to other machines than this one."),
			},
		},
		{
			path: "token.on_update", head: "on_update { … }", often: onlyOne, schema: &onUpdateSchema,
			meaning: "A command that runs once for each generation, after sinks hold it; a failure is tried again. It runs in `/` with `PATH`, `HOME`, `LANG` and `TOKEND_TOKEN`, `TOKEND_SINK_PATH`, `TOKEND_EXPIRES_AT`, `TOKEND_GENERATION`, and no secret.",
			keys: []KeyDoc{
				key("command", typeTexts, "", "The program and its arguments. No shell reads it."),
				key("timeout", typeDuration, `"30s"`, "After which it is ended, and counts as failed."),
			},
		},
	}
}
