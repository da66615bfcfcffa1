package replicas

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

var (
	cluster *kubernetes.Cluster
	built   func() (string, error) // the daemon's binary, built when it is first needed
)

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokend-replicas-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = sync.OnceValues(func() (string, error) { return tokend.Build("../..", dir) })
	return kubernetes.Main(m, &cluster)
}
