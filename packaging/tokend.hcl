# tokend's configuration: this file and all other *.hcl beside it. Every key there
# is stands in /usr/share/doc/tokend/examples/config.example.hcl.
#
#   tokend validate                what is wrong with it
#   tokend plan                    what a reload would change
#   systemctl enable --now tokend  start it
#
# It is loaded again when a file changes. Secrets go into files of their own, of
# mode 0640 and group tokend, or to systemd's credentials: see
# /usr/share/doc/tokend/systemd.md.

log {
  format = "auto" # with systemd's priorities where the journal reads it, else json
}

# provider "example" {
#   token_endpoint = "https://auth.example/oauth2/token"
#   client_id      = "tokend"
#   client_secret  = file("/etc/tokend/example.secret")
# }
#
# token "example" {
#   provider = "example"
#   grant "client_credentials" {
#     scope = ["read"]
#   }
#   sink "file" {
#     path = "/run/tokend/example/token"
#   }
# }
