# Rator: POST /appcontext/oauth/token.
# Facts are from the REST API's documentation, "Authentication / OAuth 2".
#
# brand_key is the user's to add: "In order to obtain an access token, every
# request has to contain the brand_key parameter. This parameter is of type
# QUERY", as in request { query = { brand_key = "…" } }.

request {
  # Departs from RFC 6749 section 3.2.1 and its like, which put parameters into
  # the body: the example under "Token Endpoint (Authentication)" is "curl -v -X
  # POST -u myclientid:myclientsecret …/oauth/token?username=…&password=…".
  method    = "POST"
  params_in = "query"

  # "-u myclientid:myclientsecret": curl encodes neither, where RFC 6749 section
  # 2.3.1 form-encodes both first.
  client_auth    = "client_secret_basic"
  basic_encoding = "raw"

  headers = { Accept = "application/json" } # "-H "Accept: application/json""
}

request "refresh_token" {
  # Under "Refresh tokens": "-d "grant_type=refresh_token&refresh_token=
  # {refresh_token}&brandKey={myBrandKey}"". It is a form, and it spells the
  # brand brandKey, as in request "refresh_token" { params = { brandKey = "…" } }.
  params_in = "form"
}
