provider "example" {
  token_endpoint = "https://auth.example/oauth2/token"
  client_id      = "tokend"
  client_secret  = file("/etc/tokend-secrets/example.secret")
}

token "example" {
  provider = "example"
  grant "client_credentials" {}
  sink "kubernetes_secret" {           # in tokend's own namespace
    name    = "example-token"
    formats = { token = "token", header = "header" }
  }
}
