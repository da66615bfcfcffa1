package config

import (
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

// TestNamesAreJudgedAsKubernetesDoes compares with the API server's own code, on
// names that are nearly good.
func TestNamesAreJudgedAsKubernetesDoes(t *testing.T) {
	names := []string{"", "a", "-", ".", "..", "...", "a.", ".a", "a..b", "a.b", "A", "a-", "-a", "a_b", "a/b", "/", "a/", "/a", "a/b/c", "é", "a\n", strings.Repeat("a", 64), strings.Repeat("a.", 127), strings.Repeat("a.", 126) + "a", strings.Repeat("a", 254)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var b strings.Builder
		for range 1 + random.IntN(6) {
			b.WriteByte("aZ0-_./ "[random.IntN(8)])
		}
		names = append(names, b.String())
	}
	for _, rule := range []struct {
		what   string
		mine   func(string) bool
		theirs func(string) []string
	}{
		{"namespace", isLabelName, validation.IsDNS1123Label},
		{"name", isSubdomain, validation.IsDNS1123Subdomain},
		{"key of data", isDataKey, validation.IsConfigMapKey},
		{"key of a label", isQualified, validation.IsQualifiedName},
		{"value of a label", func(s string) bool { return s == "" || qualifiedName.MatchString(s) }, validation.IsValidLabelValue},
	} {
		good := 0
		for _, name := range names {
			faults := rule.theirs(name)
			if rule.mine(name) != (len(faults) == 0) {
				t.Errorf("%s %q: %t, while Kubernetes says %v", rule.what, name, rule.mine(name), faults)
			}
			if len(faults) == 0 {
				good++
			}
		}
		if good == 0 {
			t.Errorf("no %s was a good one", rule.what)
		}
	}
}
