# What "tokend dev" runs: six tokens of three APIs, kept fresh in files.
# The APIs are played by a built-in server on this machine, whose access tokens
# live 30s. Every secret here is a demonstration value; in earnest, write
# file("/etc/tokend/…"), env("…") or credential("…") in its place.

state "file" {
  path = "/home/u/tokend-dev/state" # what survives a restart
}

control {
  socket = "/home/u/tokend-dev/control.sock" # tokend --socket … status
}

log {
  level  = "info"
  format = "text"
}

# Musement: one GET, everything in the query. The profile knows that; what is
# left to write is where, who, and the headers that the vendor asks for.
provider "musement" {
  profile        = "musement"
  token_endpoint = "http://127.0.0.1:8080/api/v3/login"
  client_id      = "tokend-dev"
  client_secret  = "demo&secret=1"

  request {
    headers = {
      X-Musement-Application = "tokend-dev"
      X-Musement-Version     = "3.4.0"
    }
  }
  schedule {
    lead         = "5s" # renew at least this long before expiry
    min_interval = "2s" # never two requests for one token faster than this
  }
}

# No customer, so no refresh token either: tokend logs in anew each time.
token "musement-app" {
  provider = "musement"
  grant "client_credentials" {}
  sink "file" {
    path = "/home/u/tokend-dev/musement/app.token"
  }
}

# A customer's token. The refresh token rotates: each one works once.
token "musement-user" {
  provider = "musement"
  grant "password" {
    username = "traveller@example.com"
    password = "demo pass+word"
  }
  probe { # a 401 here means "get a new token now", whatever the expiry said
    url   = "http://127.0.0.1:8080/api/v3/cities"
    every = "5s"
  }
  sink "file" { # curl -H @musement/user.header …
    path   = "/home/u/tokend-dev/musement/user.header"
    format = "header"
  }
}

# GreyMatter: its fixed client and "Accept: application/json" are in the profile.
provider "greymatter" {
  profile        = "greymatter"
  token_endpoint = "http://127.0.0.1:8080/api-gateway/auth-service/platform-auth/oauth/token"

  schedule {
    lead         = "5s"
    min_interval = "2s"
  }
}

token "greymatter-upstream" {
  provider = "greymatter"
  grant "password" {
    username = "upstream"
    password = "upstream"
  }
  probe {
    url     = "http://127.0.0.1:8080/api-gateway/mdm-service/wms-masterdata/catalog"
    every   = "5s"
    headers = {
      Accept       = "application/json"
      Content-Type = "application/json"
    }
  }
  sink "file" { # access_token, expires_at, generation … for programs
    path   = "/home/u/tokend-dev/greymatter/token.json"
    format = "json"
  }
}

# Rator: logins in the query with brand_key, refreshes in a form with brandKey.
provider "rator" {
  profile        = "rator"
  token_endpoint = "http://127.0.0.1:8080/appcontext/oauth/token"
  client_id      = "tokend-dev"
  client_secret  = "demo+secret/100%"

  request {
    query = { brand_key = "BRAND1" }
  }
  request "refresh_token" {
    params = { brandKey = "BRAND1" }
  }
  schedule {
    lead         = "5s"
    min_interval = "2s"
  }
}

token "rator-customer" {
  provider = "rator"
  grant "password" {
    username = "customer"
    password = "demo-customer"
  }
  sink "file" { # for a shell: . rator/customer.env
    path   = "/home/u/tokend-dev/rator/customer.env"
    format = "env"
  }
}

# operator_password is Rator's own grant. tokend sends any grant_type as it is
# labelled, so it needs no code to know this one.
token "rator-operator" {
  provider = "rator"
  grant "operator_password" {
    username = "operator"
    password = "demo#operator"
  }
  probe {
    url     = "http://127.0.0.1:8080/appcontext/api/billing-groups/201506171857210002/balance"
    every   = "5s"
    headers = { X-RATOR-brand-key = "BRAND1" }
  }
  sink "file" { # a token can have several sinks
    path = "/home/u/tokend-dev/rator/operator.token"
  }
  sink "file" {
    path   = "/home/u/tokend-dev/rator/operator.json"
    format = "json"
  }
}

# Newer versions of Rator also want to know which operator the client acts for.
token "rator-system" {
  provider = "rator"
  grant "client_credentials" {
    operator = "operator"
  }
  sink "file" {
    path = "/home/u/tokend-dev/rator/system.token"
  }
}
