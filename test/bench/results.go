package main

import "fmt"

// cell is one figure of one system.
type cell struct {
	value float64 // in the row's unit, for the verdict
	text  string  // as it is shown
	bad   bool    // something the row demands besides its value does not hold
}

// results collects the cells and notes of all runs.
type results struct {
	cells  map[string]map[string]cell // by row, then by system
	colds  map[string][]float64       // cold starts in seconds, by row and system
	notes  []string
	charts []string // what needs more than a line
	ill    bool     // a run failed
}

func newResults() *results {
	return &results{cells: make(map[string]map[string]cell), colds: make(map[string][]float64)}
}

func (r *results) put(row, system string, c cell) {
	if r.cells[row] == nil {
		r.cells[row] = make(map[string]cell)
	}
	r.cells[row][system] = c
}

func (r *results) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *results) chart(format string, args ...any) {
	r.charts = append(r.charts, fmt.Sprintf(format, args...))
}
