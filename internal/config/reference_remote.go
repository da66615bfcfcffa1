package config

func remoteReference() []described {
	const tlsMeaning = "Certificates for the connection. Files that change are read again."
	return append([]described{
		{
			path: "kubernetes", head: `kubernetes "NAME" { … }`, often: anyNumber, schema: &kubernetesSchema,
			meaning: "A way to an API server, for sinks, state, Leases and `kubernetes_secret()`. Without such a block: the ServiceAccount of the pod, else `$KUBECONFIG` or `~/.kube/config`. Only `file`, `env` and `credential` can be used in it.",
			keys: []KeyDoc{
				key("kubeconfig", typePath, "as without a block", "A kubeconfig file."),
				text("context", "the current one of the kubeconfig", "A context of it."),
				key("qps", typeNumber, "50", "Requests per second, over all that use the block."),
				key("burst", typeInteger, "100", "Requests that may go at once."),
			},
		},
		{
			path: "vault", head: `vault "NAME" { … }`, often: anyNumber, schema: &vaultSchema,
			meaning: "A way to a server with Vault's API, for sinks, state and `vault()`. Only `file`, `env` and `credential` can be used in it.",
			keys: []KeyDoc{
				text("address", "", "`https://host:port`, without a path."),
				key("standbys", typeTexts, "[]", "The other servers of the cluster, for when the first is a standby or does not answer."),
				text("namespace", "none", "A namespace of Vault Enterprise or OpenBao."),
				key("timeout", typeDuration, `"10s"`, "Of one request."),
				key("allow_insecure_http", typeBool, "false", "Plain http to other machines than this one."),
			},
		},
		{
			path: "vault.tls", head: "tls { … }", often: onlyOne, schema: &vaultTLSSchema, meaning: tlsMeaning,
			keys: []KeyDoc{
				key("ca_file", typePath, "the system's authorities", "PEM file of the authorities that are trusted."),
				key("cert_file", typePath, "none", "PEM file of the client certificate; comes with `key_file`."),
				key("key_file", typePath, "none", "PEM file of its key; must not be world-readable."),
				text("server_name", "the host of the address", "The name that the server's certificate must have."),
			},
		},
	}, authReference()...)
}

func authReference() []described {
	const often = "one auth block, of one method, is needed"
	auth := func(method, meaning string, keys ...KeyDoc) described {
		return described{
			path: `vault.auth "` + method + `"`, head: `auth "` + method + `" { … }`, often: often,
			meaning: meaning, schema: authSchemas[method], keys: keys,
		}
	}
	mount := func(method string) KeyDoc { return text("mount", `"`+method+`"`, "Mount of the auth method.") }
	const jwt = "File with the JWT to log in with; read at each login."
	return []described{
		auth("token", "Log in with a token of Vault, which tokend renews as long as Vault allows.",
			key("token", typeSecret, "", "The token.")),
		auth("token_file", "Use the token that another program, such as Vault Agent, keeps in a file.",
			key("path", typePath, "", "The file; read again when it changes and when Vault refuses the token.")),
		auth("approle", "Log in by AppRole.", mount("approle"),
			text("role_id", "", "The role_id."),
			key("secret_id", typeSecret, "none", "The secret_id; it or `secret_id_file`, unless the role needs none."),
			key("secret_id_file", typePath, "none", "File with the secret_id; read at each login."),
			key("secret_id_wrapped", typeBool, "false", "Whether the secret_id is a token that unwraps to the real one, once.")),
		auth("kubernetes", "Log in with the ServiceAccount of the pod.", mount("kubernetes"),
			text("role", "", "The role."),
			key("jwt_file", typePath, `"`+serviceAccountToken+`"`, jwt)),
		auth("jwt", "Log in with a JWT.", mount("jwt"),
			text("role", "", "The role."),
			key("jwt_file", typePath, "", jwt)),
		auth("cert", "Log in with the client certificate of the `tls` block.", mount("cert"),
			text("role", "any that fits the certificate", "Name of the certificate role.")),
	}
}
