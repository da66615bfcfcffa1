# Musement: GET /api/v3/login.
# Facts are from the API's "Authentication" documentation.

request {
  # Departs from RFC 6749 section 3.2, "The client MUST use the HTTP "POST"
  # method": the document shows "GET /api/v3/login?client_id={client_id}&…" for
  # every grant. Where the newer POST with a JSON body is served, write
  # method = "POST" and params_in = "json".
  method    = "GET"
  params_in = "query"

  # "you just need to send a request to the endpoint /api/v3/login specifing
  # your client_id and client_secret": both are parameters. RFC 6749 section
  # 2.3.1 says they "MUST NOT be included in the request URI".
  client_auth = "client_secret_post"
}

refresh_tokens {
  # "The response contains a new access_token and a new refresh_token. You
  # should use these new values from now on": they rotate, and no grace is
  # promised.
  use   = true
  grace = "0s"
}
