package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func generated(base string) string { return "endpoint = \"" + base + "/token\"\n" }

func keep(t *testing.T, root, base string) string {
	t.Helper()
	d, err := openDevDir(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.keepConfig(base, generated); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, devConfig))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDevKeepsWhatTheUserEdited(t *testing.T) {
	root := filepath.Join(t.TempDir(), "dev")
	const first, second = "http://127.0.0.1:1001", "http://127.0.0.1:1002"
	if got := keep(t, root, first); got != generated(first) {
		t.Errorf("the first start wrote %q", got)
	}
	if got := keep(t, root, second); got != generated(second) {
		t.Errorf("an unedited configuration became %q", got)
	}
	edited := generated(second) + "# mine\n"
	if err := os.WriteFile(filepath.Join(root, devConfig), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := keep(t, root, second); got != edited {
		t.Errorf("an edited configuration became %q", got)
	}
	if got := keep(t, root, first); got != generated(first)+"# mine\n" {
		t.Errorf("at another address an edited configuration became %q", got)
	}
	if got := keep(t, root, second); got != edited {
		t.Errorf("back at the first address it became %q", got)
	}
}

func TestDevComesBackToItsAddress(t *testing.T) {
	root := t.TempDir()
	d := &devDir{root: root}
	first, err := d.listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	d.memory.Address = first.Addr().String()
	elsewhere, err := d.listen(t.Context(), "") // the port is taken
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := d.listen(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Addr().String() != d.memory.Address || elsewhere.Addr().String() == d.memory.Address {
		t.Errorf("listened on %s and %s, after %s", elsewhere.Addr(), again.Addr(), d.memory.Address)
	}
}

func TestDevTellsOfDamagedMemory(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, devMemory), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDevDir(t.Context(), root); err == nil || !strings.Contains(err.Error(), "remove "+filepath.Join(root, devMemory)) {
		t.Errorf("openDevDir = %v", err)
	}
}

func TestDevStaysOnLoopback(t *testing.T) {
	for address, good := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:0": true, "127.9.9.9:1": true,
		"0.0.0.0:8080": false, ":8080": false, "192.0.2.1:80": false, "localhost:80": false, "127.0.0.1": false,
	} {
		if err := checkLoopback(address); (err == nil) != good {
			t.Errorf("checkLoopback(%q) = %v", address, err)
		}
	}
}
