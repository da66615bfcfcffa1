package prometheus

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

const dashboardFile = root + "/manifests/grafana/tokend.json"

// dashboard is Grafana's JSON model, as far as mistakes are made in it.
type dashboard struct {
	Title       string
	Annotations struct {
		List []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Datasource               struct{ UID string }
	Targets                  []struct {
		Expr, RefID string
		Datasource  struct{ UID string }
	}
}

func load(t *testing.T) dashboard {
	t.Helper()
	content, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled puts values in the place of Grafana's variables.
func filled(query string) string {
	query = strings.ReplaceAll(query, "$__rate_interval", "5m")
	return regexp.MustCompile(`\$\{?[a-z]+\}?`).ReplaceAllString(query, ".*")
}

func TestDashboardAsksForMetricsThatAreThere(t *testing.T) {
	t.Parallel()
	known, d := documented(t), load(t)
	queries := map[string]string{}
	for _, a := range d.Annotations.List {
		queries[a.Expr] = "annotation"
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries[target.Expr] = "panel " + p.Title
		}
	}
	values := regexp.MustCompile(`^label_values\((.+), ([a-z]+)\)$`)
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			parts := values.FindStringSubmatch(v.Definition)
			if parts == nil {
				t.Fatalf("variable %s: %s", v.Name, v.Definition)
			}
			queries[parts[1]] = "variable " + v.Name
		}
	}
	if len(queries) < 20 {
		t.Fatalf("only %d queries are found", len(queries))
	}
	for query, where := range queries {
		if missing := unknown(t, known, filled(query)); len(missing) > 0 {
			t.Errorf("%s asks for %q", where, missing)
		}
	}
}

// Variables that are misspelt select nothing, and say so nowhere.
func TestDashboardUsesItsVariables(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{"__rate_interval": true, "__all": true}
	for _, v := range load(t).Templating.List {
		defined[v.Name] = true
		if n := len(regexp.MustCompile(`\$\{?`+v.Name+`\b`).FindAll(content, -1)); n < 2 {
			t.Errorf("$%s is hardly used", v.Name)
		}
	}
	for _, use := range regexp.MustCompile(`\$\{?([A-Za-z_]+)`).FindAllSubmatch(content, -1) {
		if !defined[string(use[1])] {
			t.Errorf("$%s is not defined", use[1])
		}
	}
}

func TestDashboardPanelsHaveTheirPlaceAndWords(t *testing.T) {
	t.Parallel()
	const width = 24
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range load(t).Panels {
		if p.Title == "" || p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("panel %d lacks title, description or queries", p.ID)
		}
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("panel %q: id %d is not its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.X < 0 || g.X+g.W > width || g.W <= 0 || g.H <= 0 {
			t.Errorf("panel %q is not on the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("panels %q and %q overlap", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || target.RefID == "" {
				t.Errorf("panel %q: a query has the data source %q and the name %q", p.Title, target.Datasource.UID, target.RefID)
			}
		}
	}
}
