package problem

// tokens are what concerns a token as a whole.
var tokens = []Entry{
	{
		Code:   "attempt_failed",
		Title:  "A token request brought no token",
		Cause:  "Class and message say how far it got.",
		Remedy: "See the code that stands with the message.",
	},
	{
		Code:   "expired",
		Title:  "There is no valid access token",
		Cause:  "The last one ran out before a new one was had. Consumers are refused until one is.",
		Remedy: "See the token's last error. tokend keeps trying; when the cause is mended, tokend refresh NAME tries at once.",
	},
	{
		Code:   "needs_human",
		Also:   []string{"human"},
		Title:  "A person must obtain a new refresh token",
		Cause:  "The grant cannot log in by itself: it lives by a refresh token that a person once obtained, and the server no longer takes that.",
		Remedy: "Log in as a person at the server, put the new refresh token where the configuration reads it, and it is used at once. The access token is served until it expires.",
	},
	{
		Code:   "standby",
		Title:  "Another replica keeps the token",
		Cause:  "Several replicas share the tokens, and this one is not in charge of it.",
		Remedy: "Nothing. Ask the replica that keeps it; status on each says what it holds.",
	},
	{
		Code:   "released",
		Title:  "The token was handed to another replica",
		Cause:  "A replica joined or left, or this one lost its Lease.",
		Remedy: "Nothing.",
	},
	{
		Code:   "fenced",
		Title:  "Another process has written the token's record",
		Cause:  "The stored record is newer than what this process holds, so another replica, or a second daemon, has taken the token over. What was obtained here was dropped.",
		Remedy: "Nothing, after a pause or a network split. If it repeats, two daemons are configured with the same state and do not share an ha block.",
	},
	{
		Code:   "state",
		Also:   []string{"state_failed"},
		Title:  "The state cannot be saved",
		Cause:  "The store did not take a record: the disk is full or read-only, or Kubernetes or Vault refuses or does not answer. Before a refresh token is spent the store must take a note of it, so refreshes wait.",
		Remedy: "The message says what the store answered. Make room, mount it writable, or give the rights back. What was obtained already is served from memory and saved again until that succeeds.",
	},
	{
		Code:   "clock_stepped",
		Title:  "The clock was stepped, or the machine slept",
		Cause:  "Wall clock and monotonic clock went apart. Plans move with the clock, so that no token seems to live longer than it does.",
		Remedy: "Nothing after a suspend. If it repeats, look after time synchronisation.",
	},
	{
		Code:   "panic",
		Also:   []string{"panicked"},
		Title:  "A defect in tokend was caught",
		Cause:  "A part of tokend failed in a way that it should not. That attempt failed, and everything else goes on.",
		Remedy: "Report it with the log line, which has the place in the code and holds no secret.",
	},
}

// places are what concerns sinks, hooks and probes.
var places = []Entry{
	{
		Code:   "sink_failed",
		Title:  "A sink could not be written",
		Cause:  "The message has what the file system, Kubernetes or Vault said. Other sinks are not held up, and no token request is made because of it.",
		Remedy: "Mend what the message names. tokend tries again by itself, at first within a second, at last every few minutes.",
	},
	{
		Code:   "sink_file",
		Title:  "A file could not be written",
		Cause:  "No room or no inodes, a read-only file system, missing rights, a directory, FIFO or mount point at the path, or an owner that this user may not set. The file that was there is untouched.",
		Remedy: "The message says which and what to do. Under systemd, name the directory in ReadWritePaths= or RuntimeDirectory=. In a container, mount the directory rather than the single file.",
	},
	{
		Code:   "sink_kubernetes_secret",
		Title:  "A Kubernetes Secret could not be written",
		Cause:  "The API server refuses it (missing RBAC, a quota, a missing namespace), does not answer, or the Secret is immutable or of another type.",
		Remedy: "The message has the API server's words. kubectl auth can-i patch secret/NAME --as=… shows the rights; an immutable Secret has to be deleted, and tokend makes it anew.",
	},
	{
		Code:   "sink_vault_kv",
		Title:  "A Vault secret could not be written",
		Cause:  "Vault is sealed, the policy does not allow the path, the mount does not exist, or someone else wrote a version in between.",
		Remedy: "The message has Vault's words. vault kv put with the same identity shows whether the policy fits. tokend logs in to Vault anew when its own token has run out.",
	},
	{
		Code:   "sink_repaired",
		Title:  "A sink was changed by somebody else and put back",
		Cause:  "A person or a program edited or deleted what tokend wrote. It was restored.",
		Remedy: "Nothing, once. Foreign keys of a Secret are kept; only what the sink writes is tokend's.",
	},
	{
		Code:   "sink_contended",
		Title:  "Somebody keeps changing a sink",
		Cause:  "Each repair is undone by another writer, so repairs slow down. Two daemons, a deployment tool or a sync job write the same place.",
		Remedy: "Find the other writer and let one of the two go.",
	},
	{
		Code:   "hook_failed",
		Title:  "The on_update command failed",
		Cause:  "It does not exist, ended with another status than 0, or took longer than its timeout. The token itself is delivered.",
		Remedy: "The message ends with what the command printed. Run it by hand as the daemon's user; it gets a small environment and no shell. tokend runs it again by itself.",
	},
	{
		Code:   "probe_failed",
		Title:  "The probe's resource could not be asked",
		Cause:  "The address of the probe block cannot be reached, or answers with something that is neither a yes nor a 401.",
		Remedy: "Check url and tls of the probe block. No token request is made because of it.",
	},
	{
		Code:   "probe_refused",
		Title:  "The resource refuses the access token",
		Cause:  "It answered 401, so the token is revoked or never was good for it. A new one is obtained at once; if that is refused too, ever less often.",
		Remedy: "If it repeats with every new token, the token's scope or audience does not fit the resource, or the probe's headers are incomplete.",
	},
}

// daemon is what concerns all tokens at once.
var daemon = []Entry{
	{
		Code:   "config",
		Also:   []string{"reload_failed", "config_fault"},
		Title:  "The newest configuration is not used",
		Cause:  "It has faults, so the last good one keeps running. Nothing was changed.",
		Remedy: "tokend validate shows each fault with file and line. As soon as the files are correct they are loaded.",
	},
	{
		Code:   "config_warning",
		Title:  "The configuration works and deserves a look",
		Cause:  "It is taken as it is, and something in it is probably not what was meant, or not as safe as it could be.",
		Remedy: "The message says what and where; tokend validate shows it with the lines around it.",
	},
	{
		Code:   "restart_needed",
		Title:  "A changed block takes effect at the next start",
		Cause:  "Where the state is, where the daemon listens and how it logs is settled at the start. Everything else of the new configuration is in effect.",
		Remedy: "Restart the daemon when it suits you. Tokens that are still fresh make no request at a start.",
	},
	{
		Code:   "traces_refused",
		Title:  "The collector of traces takes none",
		Cause:  "It does not answer, or refuses what is sent. Spans are dropped meanwhile and counted; tokens and sinks do not notice.",
		Remedy: "Check the endpoint and the headers of the tracing block, and the collector's own log. traces_lost in the log says how many spans are missing when it works again.",
	},
	{
		Code:   "reread_failed",
		Title:  "A secret of the configuration could not be read again",
		Cause:  "Vault or Kubernetes does not answer, or refuses. The last value that was read stays in use.",
		Remedy: "Check that Vault or the API server can be reached and lets tokend read the secret.",
	},
	{
		Code:   "watch_failed",
		Title:  "The system does not report changes of files",
		Cause:  "The limit of inotify watches is reached, or the file system has none. Files are looked at every 30 s instead.",
		Remedy: "Raise fs.inotify.max_user_watches and fs.inotify.max_user_instances, if 30 s are too long.",
	},
	{
		Code:   "take_up_failed",
		Title:  "The tokens of a shard could not be taken up",
		Cause:  "This replica was given a share of the tokens and could not read their records from the state. It tries again.",
		Remedy: "Check that the state can be read: see the code state.",
	},
	{
		Code:   "shard_released",
		Title:  "A shard was given up before its tokens were settled",
		Cause:  "The time until another replica may take over was over while a write was still under way. The state keeps the two apart.",
		Remedy: "Nothing, if it is rare. If it repeats, a sink or the state hangs.",
	},
	{
		Code:   "notify_failed",
		Title:  "The service manager could not be told how the daemon is",
		Cause:  "The socket in NOTIFY_SOCKET is not there or refuses. The daemon works on; systemd may take it for dead.",
		Remedy: "Check that the unit has Type=notify, and that nothing between systemd and tokend (a shell, a container) hides the socket.",
	},
	{
		Code:   "lease",
		Title:  "The Leases cannot be renewed",
		Cause:  "The API server does not answer or refuses. Without a Lease this replica neither sends nor writes, so that no two do.",
		Remedy: "Check the reach of the API server and the rights to get, list, create and update Leases in tokend's namespace.",
	},
}

// commands are the codes with which the control socket answers a command.
var commands = []Entry{
	{
		Code:   "unknown_token",
		Title:  "No token of this name is configured",
		Cause:  "The name is misspelt, or the running configuration is another one.",
		Remedy: "tokend status lists the names; tokend plan shows what a reload would change.",
	},
	{
		Code:   "not_ready",
		Title:  "There is no valid access token to hand out",
		Cause:  "The first login is still under way or fails, the token expired, or another replica keeps it.",
		Remedy: "tokend wait NAME waits for it, and its error says what is missing.",
	},
	{
		Code:   "too_short",
		Title:  "Less is left of the access token than was asked for",
		Cause:  "--min-ttl is longer than what remains.",
		Remedy: "tokend wait --min-ttl obtains a newer one. If no lifetime of this server is that long, ask for less.",
	},
	{
		Code:   "forbidden",
		Title:  "This user may not use the control socket",
		Cause:  "The socket answers the daemon's user, root and the configured group.",
		Remedy: "Use sudo, or set group in the control block and add the user to that group.",
	},
	{
		Code:   "stopping",
		Title:  "The daemon is stopping",
		Cause:  "It drains what is in flight and takes nothing new.",
		Remedy: "Try again when it is back.",
	},
	{
		Code:   "bad_request",
		Title:  "The daemon does not understand the command",
		Cause:  "Command and daemon are of different versions.",
		Remedy: "Restart the daemon with the version that is installed, or use the binary that the daemon runs.",
	},
	{
		Code:   "failed",
		Title:  "The command failed",
		Cause:  "The daemon met an error that has no code of its own; the message says which.",
		Remedy: "See the daemon's log around that time.",
	},
}
