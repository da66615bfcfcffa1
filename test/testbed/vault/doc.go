// Package vault is a real Vault server for tests: the core, the API, the KV
// engine and the auth methods of Vault, built from their Go module by test/vault,
// on loopback and with TLS. What it keeps outlives a kill.
//
// A package of tests has one server, and each test a mount in it:
//
//	var server *vault.Server
//
//	func TestMain(m *testing.M) { os.Exit(vault.Main(m, &server)) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		mount := server.Mount(t, 2)
//		token := server.Token(t, vault.Token{Policies: []string{server.Policy(t, rules)}})
//
// A test that kills or seals the server starts one of its own, which takes
// some 200 ms:
//
//	own := vault.Own(t, vault.Options{})
package vault
