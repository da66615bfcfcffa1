# RFC 6749 to the letter: the ground under every other profile, and what a
# provider gets that names none.

timeout = "30s"

request {
  method         = "POST"                # section 3.2: "The client MUST use the HTTP "POST" method"
  params_in      = "form"                # section 4.4.2 and its like: "application/x-www-form-urlencoded"
  client_auth    = "client_secret_basic" # section 2.3.1: the server "MUST support the HTTP Basic authentication scheme"
  basic_encoding = "rfc6749"             # section 2.3.1: the id and the secret are form-encoded first
  headers        = { Accept = "application/json" }
  query          = {}
  params         = {}
}

response { # section 5.1
  access_token     = "access_token"
  refresh_token    = "refresh_token"
  expires_in       = "expires_in"
  token_type       = "token_type"
  scope            = "scope"
  default_lifetime = "1h" # section 5.1: without expires_in, the lifetime is known "via other means"
}

refresh_tokens {
  use   = true
  grace = "0s" # section 10.4: a server may rotate, and a used refresh token then stands for an attack
}

schedule {
  refresh_at   = 0.75
  jitter       = 0.1
  lead         = "30s"
  min_interval = "10s"
}

limits {
  concurrency = 64
  rate        = 0
}
