package observe_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

const metricsPage = "../../docs/metrics.md"

var update = flag.Bool("update", false, "write the table of metrics into docs/metrics.md")

// TestEveryMetricIsDocumented compares the table of docs/metrics.md with what a
// daemon shows to which everything has happened. With -update, the table is
// written anew.
func TestEveryMetricIsDocumented(t *testing.T) {
	h, events := busy(time.Now())
	families := parse(t, scrape(t, counted(10, events), h))
	var rows []string
	for name, f := range families {
		if strings.HasPrefix(name, "tokend_") {
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), labelsOf(f), strings.ReplaceAll(f.GetHelp(), "|", "\\|")))
		}
	}
	slices.Sort(rows)
	table := "| metric | type | labels | meaning |\n|---|---|---|---|\n" + strings.Join(rows, "")
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- generated: metrics -->\n", "<!-- end of what is generated -->"
	head, rest, ok := strings.Cut(string(page), begin)
	was, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table", metricsPage)
	}
	if *update {
		if err := os.WriteFile(metricsPage, []byte(head+begin+"\n"+table+"\n"+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if strings.TrimSpace(was) != strings.TrimSpace(table) {
		t.Errorf("%s is not what the daemon shows; write it anew with go test ./internal/observe -run %s -update", metricsPage, t.Name())
	}
}

func labelsOf(f *dto.MetricFamily) string {
	var names []string
	for _, series := range f.GetMetric() {
		for _, l := range series.GetLabel() {
			if !slices.Contains(names, l.GetName()) {
				names = append(names, l.GetName())
			}
		}
	}
	for i := range names {
		names[i] = "`" + names[i] + "`"
	}
	return strings.Join(names, ", ")
}
