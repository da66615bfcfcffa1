# How tokend runs here. Tokens are in tokens.hcl beside this file.

state "kubernetes_secret" {                              # one Secret a token, in the pod's namespace
  prefix = "tokend-state"
  key    = file("/etc/tokend-secrets/state-key")         # seals the records
}

ha "kubernetes" {                                        # a Lease: one replica works, the others stand by
  name   = "tokend"
  shards = 1
}

http {                                                   # /healthz and /readyz, for the probes
  address = ":9466"
}

log {
  level  = "info"
  format = "json"
}
