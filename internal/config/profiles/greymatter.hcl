# GreyMatter: POST /api-gateway/auth-service/platform-auth/oauth/token.
# Facts are from the API's "Authentication" documentation, section "Fetch an
# oauth token".

# "Authorization: Basic YnV0bGVyOmJ1dGxlcg== (fixed string)": a public client,
# the same for everybody. What is secret is the user's username and password.
client_id     = "butler"
client_secret = "butler"

request {
  method      = "POST"                        # ".. http:post::"
  params_in   = "form"                        # "either as URL parameters, or (urlencoded) form parameters"
  client_auth = "client_secret_basic"         # ":reqheader Authorization:"
  headers     = { Accept = "application/json" } # "the response content type depends on Accept header"
}

refresh_tokens {
  # The answer carries a refresh_token, but the documented workflow is "When
  # token expires, handle the 401 response, and fetch a new token".
  use = false
}
