// Package grants knows how an access token is obtained: the parameters of a
// login for each grant of RFC 6749, and for any other grant_type as it is
// written. A file holds a grant; [New] is the list of them.
package grants
