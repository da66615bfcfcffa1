# tokend's configuration, with every key there is.
#
# Values are the defaults unless a comment says otherwise; what is not needed
# can be left out. Several files and directories can be given to --config; they
# are read as one. Functions: file("path"), env("NAME"), credential("name") of
# systemd, vault("mount/path", "field"), kubernetes_secret("namespace/name",
# "key"), and those of HCL, such as jsondecode, format, merge and range.
#
# Alternatives are commented out without a space after the "#".
#
# What is read may be named relative to this file. What is written must have an
# absolute path.

state "file" {                                # what must survive a restart
  path = "/var/lib/tokend"                    # default: $STATE_DIRECTORY, or this
  key  = credential("state-key")              # seals the records; without it (the default) they are only 0600
}

#state "kubernetes_secret" {                   # a Secret for every token
#  kubernetes = "main"                         # a kubernetes block; not needed where there is one at most
#  namespace  = "tokend"                       # default: that of the ServiceAccount or the context
#  prefix     = "tokend-state"                 # what the names of the Secrets begin with
#  key        = credential("state-key")        # default: none, and whoever may read the Secrets reads the tokens
#}
#ha "kubernetes" {                             # several replicas; they need a state in common, here or in Vault
#  kubernetes     = "main"                     # as above
#  namespace      = "tokend"                   # of the Leases; as above
#  name           = "tokend"                   # of the Lease; with more shards what their names begin with
#  shards         = 8                          # default: 1, one active replica at a time
#  lease_duration = "15s"                      # how long a replica that died holds its tokens up
#  renew_every    = "5s"                       # less than half of that
#  identity       = env("POD_NAME", "tokend-0") # for people; default: the host name
#}

#state "vault_kv" {                            # a secret for every token, in version 2 of the KV engine
#  vault = "main"                              # a vault block; not needed where there is but one
#  mount = "secret"
#  path  = "tokend/state"                      # the secrets stand below it
#  key   = credential("state-key")             # default: none, and whoever may read them reads the tokens
#}

# The API server that sinks, state and kubernetes_secret() use. Without a block:
# the ServiceAccount of the pod, or the usual kubeconfig rules outside of one.
# What stands in this block and the next can use file, env and credential alone.
kubernetes "main" {
  kubeconfig = "/etc/tokend/kubeconfig"       # default: as without a block
  context    = "prod"                         # default: the kubeconfig's current one
  qps        = 50                             # requests per second
  burst      = 100                            # requests that may go at once
}

vault "main" {                                # Vault, or what speaks its API
  address             = "https://vault.example:8200" # needed
  standbys            = ["https://vault-2.example:8200"] # the other servers of the cluster; default: none
  namespace           = "team"                # default: none
  timeout             = "10s"                 # of one request
  allow_insecure_http = false                 # plain http to anything but this machine

  tls {                                       # default: the system's authorities, no client certificate
    ca_file     = "/etc/tokend/ca.pem"
    cert_file   = "/etc/tokend/client.pem"
    key_file    = "/etc/tokend/client.key"
    server_name = "vault.example"             # default: the host of the address
  }

  auth "approle" {                            # needed: how tokend logs in
    mount             = "approle"             # default: the method's name
    role_id           = "8a1b9f0c-tokend"
    secret_id         = file("/etc/tokend/vault-secret-id.secret")
    secret_id_wrapped = false                 # true: it is a token that unwraps to the secret_id, once
  }

  #auth "approle" {
  #  role_id        = "8a1b9f0c-tokend"
  #  secret_id_file = "/run/vault/secret-id"  # read at every login
  #}

  #auth "kubernetes" {
  #  mount    = "kubernetes"
  #  role     = "tokend"
  #  jwt_file = "/var/run/secrets/kubernetes.io/serviceaccount/token" # read at every login
  #}

  #auth "jwt" {
  #  mount    = "jwt"
  #  role     = "tokend"
  #  jwt_file = "/run/tokend/example/token"   # read at every login
  #}

  #auth "cert" {                              # with the certificate of the tls block
  #  mount = "cert"
  #  role  = "tokend"                         # default: any role that the certificate suits
  #}

  #auth "token" {
  #  token = env("VAULT_TOKEN")
  #}

  #auth "token_file" {
  #  path = "/run/vault/token"                # read again when Vault refuses what it held
  #}
}

http {                                        # /healthz, /readyz and /metrics; without the block, none of them
  address = "127.0.0.1:9466"
}

metrics {
  per_token = true                            # false: sums per provider alone; without the key, series per token up to 1,000 of them
}

systemd {                                     # where it is the service manager
  ready = "delivered"                         # READY=1 when every sink held its token once | started
}

tracing {                                     # spans of attempts and writes, by OTLP/HTTP; without the block, none
  endpoint            = "http://127.0.0.1:4318" # of an OpenTelemetry collector; /v1/traces is added
  headers             = {}                    # such as { Authorization = credential("collector") }
  sample              = 1.0                   # fraction of the attempts that are traced
  allow_insecure_http = false                 # plain http to anything but this machine
}

control {                                     # where `tokend status` and the like find the daemon
  socket = "/run/tokend/control.sock"         # default: $RUNTIME_DIRECTORY/control.sock, or this
  group  = "tokend"                           # whose members may connect too; default: nobody else
}

log {
  level  = "info"                             # debug | info | warn | error
  format = "json"                             # json | text | journald | auto (journald under systemd, else json)
}

# An authorization server by RFC 6749, with every key that a provider can have.
provider "example" {
  profile             = "rfc6749"             # rfc6749 | musement | greymatter | rator
  token_endpoint      = "https://auth.example/oauth2/token" # needed; has no query: that is request.query
  client_id           = "tokend"
  client_secret       = file("/etc/tokend/example.secret") # must not be world-readable
  timeout             = "30s"                 # of one request; cut short where a token has less time left
  allow_insecure_http = false                 # plain http to anything but this machine

  # How a token request is put together. What stands here applies to all of
  # them; headers, query and params are merged with the profile's key by key, and
  # null takes a key away.
  request {
    method         = "POST"                   # POST | GET
    params_in      = "form"                   # form | query | json
    client_auth    = "client_secret_basic"    # client_secret_basic | client_secret_post | none
    basic_encoding = "rfc6749"                # rfc6749 (id and secret are form-encoded first) | raw
    headers        = { Accept = "application/json" }
    query          = {}                       # parameters that always go into the query
    params         = {}                       # parameters that go where params_in says
  }
  request "client_credentials" {              # what is different for one grant_type
    params = { audience = "https://api.example" }
  }

  response {                                  # fields of the answer, or dotted paths such as "data.token"
    access_token     = "access_token"
    refresh_token    = "refresh_token"
    expires_in       = "expires_in"
    token_type       = "token_type"
    scope            = "scope"
    default_lifetime = "1h"                   # when neither expires_in nor the token tells
  }

  refresh_tokens {
    use   = true                              # false: log in anew each time
    grace = "0s"                              # how long the server still takes a replaced refresh token
  }

  schedule {
    refresh_at   = 0.75                       # fraction of the lifetime
    jitter       = 0.1                        # spread of that
    lead         = "30s"                      # and at least this long before expiry
    min_interval = "10s"                      # floor between two requests for one token
    cron         = []                         # also refresh at these times
    login_cron   = []                         # and log in anew at these
  }

  limits {                                    # towards this server, over all its tokens
    concurrency = 64                          # requests in flight
    rate        = 50                          # requests per second; default: 0, no limit
  }

  tls {                                       # default: the system's authorities, no client certificate
    ca_file   = "/etc/tokend/ca.pem"
    cert_file = "/etc/tokend/client.pem"
    key_file  = "/etc/tokend/client.key"
  }
}

# A token with every key that a token can have.
token "example" {
  provider      = "example"                   # needed
  client_id     = "tokend-example"            # default: the provider's, as for the secret
  client_secret = env("EXAMPLE_CLIENT_SECRET", "only-for-this-example")

  grant "client_credentials" {                # any grant_type; its parameters stand inside
    scope = ["read", "write"]                 # or "read write"
  }

  schedule {                                  # the provider's, key by key
    refresh_at   = 0.5
    jitter       = 0.1
    lead         = "2m"
    min_interval = "10s"
    cron         = ["55 1 * * *", "CRON_TZ=Europe/Rome 0 6 * * 1-5"]
    login_cron   = ["@weekly"]
  }

  probe {                                     # a 401 here means: get a new token now
    url                 = "https://api.example/ping"
    method              = "GET"
    headers             = { X-Purpose = "tokend" }
    every               = "1m"
    timeout             = "10s"
    allow_insecure_http = false
  }

  sink "file" {
    path      = "/run/tokend/example/token"
    mode      = "0640"                        # default: "0600"; a text, since HCL reads 0640 as decimal
    dir_mode  = "0750"                        # of directories that are missing; default: "0700"
    owner     = "tokend"                      # a name or a number; default: tokend's own
    group     = "batch"                       # the same
    format    = "token"                       # token | json | header | env | netrc | dockerconfigjson | kubeconfig | exec-credential
    on_remove = "keep"                        # keep | delete, when the token leaves this configuration

    propagation = "0s"                        # how long consumers may still use what they read before
  }
  sink "file" {                               # . /run/tokend/example/env
    path     = "/run/tokend/example/env"
    format   = "env"
    variable = "EXAMPLE_TOKEN"                # default: "TOKEND_ACCESS_TOKEN"
  }
  sink "file" {                               # curl --netrc-file /run/tokend/example/netrc
    path    = "/run/tokend/example/netrc"
    format  = "netrc"
    machine = "api.example"                   # needed for netrc
    login   = "oauth2"
  }
  sink "file" {                               # DOCKER_CONFIG=/run/tokend/example
    path     = "/run/tokend/example/config.json"
    format   = "dockerconfigjson"
    registry = "registry.example"             # needed for dockerconfigjson
    username = "oauth2accesstoken"
  }
  sink "file" {                               # KUBECONFIG=/run/tokend/example/kubeconfig:$HOME/.kube/config
    path   = "/run/tokend/example/kubeconfig"
    format = "kubeconfig"
    user   = "tokend"                         # to be named by a context
  }
  sink "file" {
    path     = "/run/tokend/example/token.yaml"
    template = <<-EOT
      access_token: {{ json .AccessToken }}
      expires_at: {{ .ExpiresAt }}
    EOT
  }

  sink "kubernetes_secret" {                  # other keys, labels and annotations of the Secret are left alone
    kubernetes  = "main"                      # not needed where there is one block at most
    namespace   = "shop"                      # default: that of the ServiceAccount or the context
    name        = "example"                   # needed
    type        = "Opaque"
    data        = { token = "{{ .AccessToken }}", expires = "{{ .ExpiresAt }}" }
    formats     = { "config.json" = "dockerconfigjson", "token.env" = "env", netrc = "netrc", kubeconfig = "kubeconfig" }
    variable    = "EXAMPLE_TOKEN"             # for env, as in a file sink
    machine     = "api.example"               # for netrc
    login       = "oauth2"                    # for netrc
    registry    = "registry.example"          # for dockerconfigjson
    username    = "oauth2accesstoken"         # for dockerconfigjson
    user        = "tokend"                    # for kubeconfig
    labels      = { "app.kubernetes.io/part-of" = "shop" } # default: none but tokend's own
    annotations = { "example.com/contact" = "shop@example.com" }
    propagation = "90s"                       # a mounted Secret takes that long to reach its pod
    on_remove   = "keep"                      # keep | delete
  }

  sink "vault_kv" {
    vault        = "main"                     # not needed where there is but one block
    mount        = "secret"                   # needed
    path         = "apps/example"             # needed
    version      = 2                          # of the KV engine: 1 | 2; default: 0, which finds out
    data         = { token = "{{ .AccessToken }}" }
    formats      = { "config.json" = "dockerconfigjson", "token.env" = "env", netrc = "netrc", kubeconfig = "kubeconfig" }
    variable     = "EXAMPLE_TOKEN"            # for the formats, as above
    machine      = "api.example"
    login        = "oauth2"
    registry     = "registry.example"
    username     = "oauth2accesstoken"
    user         = "tokend"
    metadata     = { owner = "shop", expires_at = "{{ .ExpiresAt }}" } # of version 2 alone, and seen by more people; default: none
    max_versions = 5                          # that version 2 keeps; default: 0, what the engine says
    check_every  = "1m"                       # between two looks for changes by others
    propagation  = "0s"
    on_remove    = "keep"                     # keep | delete
  }

  on_update {                                 # after a new token is in its sinks; never a shell
    command = ["systemctl", "reload", "consumer"]
    timeout = "30s"
  }
}

# ---------------------------------------------------------------------------
# Musement: with the profile, address, credentials and headers are all it takes.

provider "musement" {
  profile        = "musement"
  token_endpoint = "https://api.musement.com/api/v3/login"
  client_id      = "my-client"
  client_secret  = file("/etc/tokend/musement.secret")
  request {
    headers = {
      X-Musement-Application = "my-application"
      X-Musement-Version     = "3.4.0"
    }
    # Where the server takes the newer POST with a JSON body:
    # method    = "POST"
    # params_in = "json"
  }
}

token "musement" {                            # without a customer
  provider = "musement"
  grant "client_credentials" {}
  sink "file" {                               # curl -H @/run/tokend/musement/header
    path   = "/run/tokend/musement/header"
    format = "header"
  }
}

token "musement-customer" {
  provider = "musement"
  grant "password" {
    username = "customer@example.com"
    password = file("/etc/tokend/musement-customer.secret")
  }
  sink "file" {
    path   = "/run/tokend/musement/customer.json"
    format = "json"
  }
}

# ---------------------------------------------------------------------------
# GreyMatter: the client is the same for everybody and part of the profile; the
# credentials are the pre-shared username and password.

provider "greymatter" {
  profile        = "greymatter"
  token_endpoint = "https://greymatter.example/api-gateway/auth-service/platform-auth/oauth/token"
}

token "greymatter" {
  provider = "greymatter"
  grant "password" {
    username = "upstream"
    password = kubernetes_secret("shop/greymatter", "password") # watched
  }
  sink "file" {
    path = "/run/tokend/greymatter/token"
  }
}

# ---------------------------------------------------------------------------
# Rator: the brand goes into the query of every token request, and into the form
# of a refresh under another spelling. Older versions take brandKey in the form
# everywhere: params_in = "form" and params = { brandKey = "…" } in the first block.

provider "rator" {
  profile        = "rator"
  token_endpoint = "https://rator.example/appcontext/oauth/token"
  client_id      = "myclientid"
  client_secret  = file("/etc/tokend/rator.secret")
  request {
    query = { brand_key = "BRAND1" }
  }
  request "refresh_token" {
    params = { brandKey = "BRAND1" }
  }
}

token "rator-operator" {
  provider = "rator"
  grant "operator_password" {                 # Rator's own grant_type
    username = "operator"
    password = vault("secret/rator", "operator") # read again every now and then
  }
  probe {
    url     = "https://rator.example/appcontext/api/ping"
    headers = { X-RATOR-brand-key = "BRAND1" }
    every   = "5m"
  }
  sink "file" {
    path = "/run/tokend/rator/token"
  }
}

# ---------------------------------------------------------------------------
# A fleet: one token for every tenant of a JSON file, each with a client of its
# own. [{"name": "acme", "client_id": "…", "client_secret": "…"}, …]

dynamic "token" {
  for_each = { for tenant in jsondecode(file("/etc/tokend/tenants.json")) : tenant.name => tenant }
  labels   = ["tenant-${token.key}"]
  iterator = token                            # how an element is called; default: the type of the block
  content {
    provider      = "example"
    client_id     = token.value.client_id
    client_secret = token.value.client_secret
    grant "client_credentials" {}
    sink "file" {
      path = "/run/tokend/tenants/${token.key}/token"
    }
  }
}
