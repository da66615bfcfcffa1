// Package devserver is the authorization server that tokend brings along to be
// tried and tested with. On one loopback address it speaks the token endpoints
// of three real APIs as their vendors document them, and a resource of each
// that judges the tokens:
//
//	Musement    GET|POST /api/v3/login                                        GET /api/v3/cities
//	GreyMatter  POST /api-gateway/auth-service/platform-auth/oauth/token      GET /api-gateway/mdm-service/wms-masterdata/catalog
//	Rator       POST /appcontext/oauth/token                                  GET /appcontext/api/billing-groups/201506171857210002/balance
//
// It is strict where the documents are definite (method, place and spelling of
// parameters, mandatory headers) and says in each vendor's manner of reporting
// errors what a client did wrong. Where a document is silent it takes the harsher of the two
// readings: refresh tokens rotate, a superseded one that comes back revokes its
// whole family, and a refresh kills the previous access token at once.
//
// Its tokens are real in shape and worthless in fact. GreyMatter's JWTs are
// signed with RS256 by a key that is made up on the first login and never
// published, so nobody can verify them; the server itself knows its tokens by
// their SHA-256, and that is all its state file holds.
package devserver
