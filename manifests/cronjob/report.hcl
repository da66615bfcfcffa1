# One token for one run. Its grant spends nothing, so that no state needs to
# outlive the pod; a grant with a rotating refresh token would need one.

state "file" {
  path = "/run/tokend-state"
}

provider "example" {
  token_endpoint = "https://auth.example/oauth2/token"
  client_id      = "report"
  client_secret  = file("/etc/tokend-secrets/report.secret")
}

token "report" {
  provider = "example"
  grant "client_credentials" {}
  sink "file" {
    path   = "/run/token/header"
    format = "header"
  }
}
