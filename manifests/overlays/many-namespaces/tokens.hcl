provider "example" {
  token_endpoint = "https://auth.example/oauth2/token"
  client_id      = "tokend"
  client_secret  = file("/etc/tokend-secrets/example.secret")
}

token "shop" {
  provider = "example"
  grant "client_credentials" {}
  sink "kubernetes_secret" {
    namespace = "shop"
    name      = "example-token"
    formats   = { token = "token", header = "header" }
  }
}

token "billing" {
  provider = "example"
  grant "client_credentials" {}
  sink "kubernetes_secret" {
    namespace = "billing"
    name      = "billing-token"
    formats   = { env = "env" }
    variable  = "BILLING_TOKEN"
  }
}
