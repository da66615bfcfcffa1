package prometheus

import (
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	ruleFile    = root + "/manifests/prometheus/tokend.rules.yml"
	ruleTests   = "testdata/rules.test.yml"
	metricsPage = root + "/docs/metrics.md"
)

// documented is the list of metrics in docs/metrics.md, which a test of
// internal/observe holds to what the daemon shows. A histogram is there with the
// names of its series.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"up": true, "process_start_time_seconds": true, "process_resident_memory_bytes": true, "process_cpu_seconds_total": true}
	for _, row := range regexp.MustCompile("(?m)^\\| `(tokend_[a-z_]+)` \\| ([a-z]+) ").FindAllStringSubmatch(string(page), -1) {
		if row[2] == "histogram" {
			known[row[1]+"_bucket"], known[row[1]+"_sum"], known[row[1]+"_count"] = true, true, true
			continue
		}
		known[row[1]] = true
	}
	if len(known) < 40 {
		t.Fatalf("only %d metrics are documented", len(known))
	}
	return known
}

// unknown lists the metrics of a query that no daemon shows.
func unknown(t *testing.T, known map[string]bool, query string) []string {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%v in %s", err, query)
		return nil
	}
	var missing []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && !known[v.Name] {
			missing = append(missing, v.Name)
		}
		return nil
	})
	return missing
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(ruleFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func TestAlertsAskForMetricsThatAreThere(t *testing.T) {
	t.Parallel()
	known := documented(t)
	for _, r := range alerts(t) {
		if missing := unknown(t, known, r.Expr); len(missing) > 0 {
			t.Errorf("%s asks for %q", r.Alert, missing)
		}
	}
}

func TestEveryAlertIsForSomebodyAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range alerts(t) {
		if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		for _, a := range []string{"summary", "description"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s has no %s", r.Alert, a)
			}
		}
		link, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#")
		if !strings.HasSuffix(link, "/docs/metrics.md") || anchor != strings.ToLower(r.Alert) || !strings.Contains(string(page), "\n### "+r.Alert+"\n") {
			t.Errorf("the runbook of %s leads nowhere: %s", r.Alert, r.Annotations["runbook_url"])
		}
	}
}

// TestRulesByPrometheusOwnUnitTests runs testdata/rules.test.yml, and fails when
// an alert has no case there in which it fires.
func TestRulesByPrometheusOwnUnitTests(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadFile(ruleTests)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range alerts(t) {
		if !regexp.MustCompile(`alertname: ` + r.Alert + `\n\s+exp_alerts:\n\s+- exp_labels`).Match(cases) {
			t.Errorf("%s fires in no case", r.Alert)
		}
	}
	promtool := built(t).promtool
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", ruleFile}, {"test", "rules", ruleTests}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// The examples must be what Prometheus takes.
func TestScrapeExampleIsAConfigurationOfPrometheus(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), built(t).promtool, "check", "config", root+"/manifests/prometheus/scrape.yml").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestQueriesOfTheDocumentationAreGood(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```promql\n")
	queries, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("there are none")
	}
	known := documented(t)
	for line := range strings.Lines(queries) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if missing := unknown(t, known, line); len(missing) > 0 {
			t.Errorf("%q is not there", missing)
		}
	}
}
