package config

import "slices"

func sinkReference() []described {
	const often = "any number, each with a target of its own"
	removal := func(what string) KeyDoc {
		return words("on_remove", removals, `"keep"`, "What becomes of "+what+" when the token leaves the configuration; with `delete` its record in the state goes too.")
	}
	data := []KeyDoc{
		key("data", typeMap, "none; it or `formats` is needed", "A template for each key, as under [templates](#templates)."),
		key("formats", typeMap, "none", "A format for each key, such as `{ \"config.json\" = \"dockerconfigjson\" }`."),
	}
	return []described{
		{
			path: `token.sink "file"`, head: `sink "file" { … }`, often: often, schema: &fileSinkSchema,
			meaning: "A file, replaced as a whole by a rename in its directory. What others change in it is put back.",
			keys: slices.Concat([]KeyDoc{
				key("path", typePath, "", "Absolute path of the file."),
				key("mode", typeMode, `"0600"`, "Mode of the file; not writable by everybody."),
				key("dir_mode", typeMode, `"0700"`, "Mode of directories that are missing."),
				text("owner", "tokend's own user", "Owner of the file, a name or a number."),
				text("group", "tokend's own group", "Group of the file, a name or a number."),
				words("format", formats, `"token"`, "What stands in the file, as under [formats](#formats)."),
				text("template", "none", "A [template](#templates) in place of a format."),
			}, formatReference(), []KeyDoc{
				key("propagation", typeDuration, `"0s"`, "How long consumers may still use what they read before; it is added to the token's `lead`."),
				removal("the file"),
			}),
		},
		{
			path: `token.sink "kubernetes_secret"`, head: `sink "kubernetes_secret" { … }`, often: often, schema: &kubernetesSinkSchema,
			meaning: "Keys of a Secret, by server-side apply. Other keys, labels and annotations are left alone; what others change in tokend's own is put back.",
			keys: slices.Concat([]KeyDoc{
				text("kubernetes", "the only `kubernetes` block, or the usual rules", "Name of the `kubernetes` block that says which cluster."),
				text("namespace", "that of the ServiceAccount or the context", "Namespace of the Secret."),
				text("name", "", "Name of the Secret."),
				text("type", `"Opaque"`, "Type of the Secret."),
			}, data, formatReference(), []KeyDoc{
				key("labels", typeMap, "none but tokend's own", "Labels of the Secret."),
				key("annotations", typeMap, "none but tokend's own", "Annotations of the Secret."),
				key("propagation", typeDuration, `"90s"`, "As in `sink \"file\"`: a mounted Secret takes that long to reach its pod."),
				removal("tokend's part of the Secret"),
			}),
		},
		{
			path: `token.sink "vault_kv"`, head: `sink "vault_kv" { … }`, often: often, schema: &vaultSinkSchema,
			meaning: "A secret in Vault's KV engine, which is tokend's as a whole: fields that others add go with the next write. Version 2 is written with check-and-set.",
			keys: slices.Concat([]KeyDoc{
				text("vault", "the only `vault` block", "Name of the `vault` block that says which server."),
				text("mount", "", "Mount of the engine."),
				text("path", "", "Path of the secret below it."),
				key("version", typeInteger, "0", "Version of the engine, 1 or 2; 0 finds out."),
			}, data, formatReference(), []KeyDoc{
				key("metadata", typeMap, "none", "Custom metadata of version 2: templates, which do not see the access token."),
				key("max_versions", typeInteger, "0", "Versions that version 2 keeps; 0 for what the engine says."),
				key("check_every", typeDuration, `"1m"`, "Between two looks for changes by others, at least a second."),
				key("propagation", typeDuration, `"0s"`, "As in `sink \"file\"`."),
				removal("the secret"),
			}),
		},
	}
}

// formatReference are the keys that single formats read.
func formatReference() []KeyDoc {
	return []KeyDoc{
		text("variable", `"TOKEND_ACCESS_TOKEN"`, "Of the format `env`: the variable of the token."),
		text("machine", "needed for `netrc`", "Of the format `netrc`: the host."),
		text("login", `"oauth2"`, "Of the format `netrc`: the login."),
		text("registry", "needed for `dockerconfigjson`", "Of the format `dockerconfigjson`: the registry's host, with a port where it has one."),
		text("username", `"oauth2accesstoken"`, "Of the format `dockerconfigjson`: the user name."),
		text("user", `"tokend"`, "Of the format `kubeconfig`: the name of the user."),
	}
}
