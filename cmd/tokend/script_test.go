package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tokend": main})
}

// TestScripts runs the command line as a shell would. Beside what testscript
// brings, a script has
//
//	exits CODE COMMAND …          runs a command that must end with that code
//	authserver LIFETIME           an authorization server at $AS, until the script ends
//	served API key=n …            what that one has answered so far, exactly
//	fault API MODE                puts an API out of order, or back with "working"
//	signal NAME COMMAND           a signal for the tokend COMMANDs in the background
//	nocore                        the daemon can't leave a core dump behind
//	waitfile FILE, waitgone FILE  until there is such a file, or none
//	waittext FILE TEXT            until there is such a text in a file
//	waitstatus NAME key=value …   until the daemon says so of a token, or of "config"
//	rename FROM TO                how an editor saves
//	deadsocket FILE               what a killed daemon leaves behind
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Values[serverKey{}] = new(scriptServer)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"authserver": authserver,
			"served":     served,
			"fault":      fault,
			"signal":     sendSignal,
			"nocore":     noCore,
			"waitfile":   waitFile,
			"waitgone":   waitGone,
			"waittext":   waitText,
			"waitstatus": waitStatus,
			"rename":     rename,
			"deadsocket": deadSocket,
		},
	})
}
