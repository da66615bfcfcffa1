package config

const (
	onlyOne    = "one at most"
	anyNumber  = "any number, each with a name of its own"
	stateOften = "one state block at most; without one, `state \"file\"`"
)

func stateReference() []described {
	return []described{
		{
			path: `state "file"`, head: `state "file" { … }`, often: stateOften, schema: &stateSchema,
			meaning: "What must survive a restart, in a directory on this machine. One daemon owns it, by a lock. Read at the start alone, like all state blocks.",
			keys: []KeyDoc{
				key("path", typePath, "the first directory of `$STATE_DIRECTORY`, or `/var/lib/tokend`", "The directory; made with mode 0700 when it is missing, and refused when others may write to it."),
				key("key", typeSecret, "none: records are not sealed", "At least 32 bytes, from which the key is derived that seals each record (AES-256-GCM)."),
			},
		},
		{
			path: `state "kubernetes_secret"`, head: `state "kubernetes_secret" { … }`, often: stateOften, schema: &kubernetesStateSchema,
			meaning: "What must survive a restart, in a Secret for each token. Several replicas can share it.",
			keys: []KeyDoc{
				text("kubernetes", "the only `kubernetes` block, or the usual rules", "Name of the `kubernetes` block that says which cluster."),
				text("namespace", "that of the ServiceAccount or the context", "Namespace of the Secrets."),
				text("prefix", `"tokend-state"`, "What the names of the Secrets begin with, before a dot."),
				key("key", typeSecret, "none: whoever may read the Secrets reads the tokens", "As in `state \"file\"`."),
			},
		},
		{
			path: `state "vault_kv"`, head: `state "vault_kv" { … }`, often: stateOften, schema: &vaultStateSchema,
			meaning: "What must survive a restart, in version 2 of Vault's KV engine. Several replicas can share it.",
			keys: []KeyDoc{
				text("vault", "the only `vault` block", "Name of the `vault` block that says which server."),
				text("mount", `"secret"`, "Mount of the engine."),
				text("path", `"tokend/state"`, "Path below which the records stand."),
				key("key", typeSecret, "none: whoever may read the path reads the tokens", "As in `state \"file\"`."),
			},
		},
	}
}

func daemonReference() []described {
	return []described{
		{
			path: "ha", head: `ha "kubernetes" { … }`, often: onlyOne, schema: &haSchema,
			meaning: "Several replicas share the tokens by Leases. They need a state in common: `kubernetes_secret` or `vault_kv`.",
			keys: []KeyDoc{
				text("kubernetes", "the only `kubernetes` block, or the usual rules", "Name of the `kubernetes` block that says which cluster."),
				text("namespace", "that of the ServiceAccount or the context", "Namespace of the Leases."),
				text("name", `"tokend"`, "Name of the Lease; with more shards, what their names begin with."),
				key("shards", typeInteger, "1", "Into how many parts the tokens are divided, 1 to 256. With 1, one replica works and the others stand by."),
				key("lease_duration", typeDuration, `"15s"`, "How long a replica that died holds its tokens up; whole seconds."),
				key("renew_every", typeDuration, `"5s"`, "Between two renewals; less than half of `lease_duration`."),
				text("identity", "the host name", "What people call this replica; one word."),
			},
		},
		{
			path: "http", head: "http { … }", often: onlyOne + "; without one, nothing is served", schema: &httpSchema,
			meaning: "The status page, its JSON, `/healthz`, `/readyz` and `/metrics`. None of them holds a secret or asks who is there. Read at the start alone.",
			keys:    []KeyDoc{text("address", `"127.0.0.1:9466"`, "Host and port to listen at; `:9466` is every address of the machine.")},
		},
		{
			path: "metrics", head: "metrics { … }", often: onlyOne, schema: &metricsSchema,
			meaning: "What `/metrics` shows. Read at the start alone.",
			keys:    []KeyDoc{key("per_token", typeBool, "up to 1,000 tokens", "Series for each token and each of its sinks, beside those of providers. Without the key, a fleet of more than 1,000 tokens has none.")},
		},
		{
			path: "systemd", head: "systemd { … }", often: onlyOne, schema: &systemdSchema,
			meaning: "What the service manager is told, where it is systemd. Read at the start alone.",
			keys:    []KeyDoc{words("ready", []string{"delivered", "started"}, `"delivered"`, "When the unit counts as started: when every sink held its token once, or when the daemon runs.")},
		},
		tracingReference(),
		{
			path: "control", head: "control { … }", often: onlyOne, schema: &controlSchema,
			meaning: "The unix socket by which the command line reaches the daemon. Read at the start alone.",
			keys: []KeyDoc{
				key("socket", typePath, "`control.sock` in `$RUNTIME_DIRECTORY`, or `/run/tokend/control.sock`", "Path of the socket, of 107 bytes at most, in a directory that nobody else may write to."),
				text("group", "none", "A group whose members may connect too, beside root and the daemon's user. They can read every access token."),
			},
		},
		{
			path: "log", head: "log { … }", often: onlyOne, schema: &logSchema,
			meaning: "The log, which goes to standard error. Read at the start alone.",
			keys: []KeyDoc{
				words("level", []string{"debug", "info", "warn", "error"}, `"info"`, "The least important lines that are written."),
				words("format", []string{"json", "text", "journald", "auto"}, `"json"`, "The shape of a line; `auto` is `journald` under systemd, and else `json`."),
			},
		},
		{
			path: "dynamic", head: `dynamic "TYPE" { … }`, often: "any number, wherever a block of that type may stand", schema: &dynamicSchema,
			meaning: "A block for each element of a collection. The nested block `content { … }` says what stands in each; `TYPE.key` and `TYPE.value` are the element.",
			keys: []KeyDoc{
				key("for_each", typeElements, "", "The collection."),
				key("iterator", typeName, "the type of the block", "What an element is called in `content`, without quotes."),
				key("labels", "list of one text", "none; needed where blocks of that type have a label", "The label of each block, such as `[\"tenant-${token.key}\"]`."),
			},
		},
	}
}

func tracingReference() described {
	return described{
		path: "tracing", head: "tracing { … }", often: onlyOne + "; without one, nothing is traced", schema: &tracingSchema,
		meaning: "Spans of each attempt and each write, sent to an OpenTelemetry collector by OTLP/HTTP. Read at the start alone.",
		keys: []KeyDoc{
			text("endpoint", `"http://127.0.0.1:4318"`, "Address of the collector; `/v1/traces` is added."),
			key("headers", typeSecrets, "{}", "Headers of each request to it, such as `Authorization`."),
			key("sample", typeNumber, "1.0", "Fraction of the attempts that are traced, with all that belongs to them: more than 0, at most 1."),
			key("allow_insecure_http", typeBool, "false", "Plain http to other machines than this one."),
		},
	}
}
