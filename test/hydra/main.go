// Command hydra is Ory Hydra, an authorization server that nobody of this
// project wrote, built from its Go module for the end-to-end tests. It is a
// module of its own, so that none of it reaches tokend's.
package main

import "github.com/ory/hydra/v2/cmd"

func main() {
	cmd.Execute()
}
