package kubernetes

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKilledAPIServerComesBackAtItsPortWithItsData(t *testing.T) {
	t.Parallel()
	cluster.need(t)
	own, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Stop()
	namespace := own.Namespace(t)
	config := own.ServiceAccount(t, namespace, "writer", secretRule("get", "create", "patch"))
	client := clientFor(t, config)
	if err := apply(t.Context(), client, namespace, "s"); err != nil {
		t.Fatal(err)
	}
	own.KillAPIServer()
	if err := apply(t.Context(), client, namespace, "s"); err == nil {
		t.Fatal("a killed API server answered")
	}
	if err := own.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Secrets(namespace).Get(t.Context(), "s", metav1.GetOptions{}); err != nil {
		t.Fatalf("with the old token at the old address: %v", err)
	}
	counts := own.Count(t, UserName(namespace, "writer"))
	if counts["patch secrets"] != 1 || counts["get secrets"] != 1 {
		t.Fatalf("counts over the restart: %v", counts)
	}
	paused(t, own, namespace)
}

func paused(t *testing.T, own *Cluster, namespace string) {
	t.Helper()
	if err := own.PauseAPIServer(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	client := clientFor(t, own.Admin())
	if err := apply(ctx, client, namespace, "s"); err == nil {
		t.Fatal("a paused API server answered")
	}
	if err := own.ResumeAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), client, namespace, "s"); err != nil {
		t.Fatalf("resumed: %v", err)
	}
}

const orphan = "TESTBED_ORPHAN"

// TestServersEndWithTheProcessThatStartedThem runs itself, and kills itself.
func TestServersEndWithTheProcessThatStartedThem(t *testing.T) {
	t.Parallel()
	if os.Getenv(orphan) != "" {
		_, _ = os.Stdout.WriteString("pids " + strconv.Itoa(cluster.etcd.cmd.Process.Pid) + " " +
			strconv.Itoa(cluster.apiserver.cmd.Process.Pid) + "\n")
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	cluster.need(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), orphan+"=1")
	out, err := cmd.Output()
	line, found := strings.CutPrefix(strings.TrimSpace(string(out)), "pids ")
	if !found || err == nil {
		t.Fatalf("%v: %s", err, out)
	}
	for pid := range strings.FieldsSeq(line) {
		await(t, pid+" is gone", func(context.Context) (bool, error) {
			_, err := os.Stat("/proc/" + pid + "/fd/0")
			return err != nil, nil
		})
	}
}
