package app

import (
	"fmt"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/sinks/file"
)

// destinations is what sinks share. It outlives reloads.
type destinations struct {
	files *file.Monitor
}

// sink builds the sink of the kind that the configuration names. This is the
// list of them.
func (d *destinations) sink(s config.Sink, pr *printer) (refresher.SinkSpec, error) {
	switch s.Kind {
	case "file":
		return d.file(s.File, pr)
	default:
		return refresher.SinkSpec{}, fmt.Errorf("there is no sink of kind %q", s.Kind)
	}
}

// writers bounds what is under way at once by kind. Files that are written
// together share their syncs, so more of them are better than the 16 that suit a
// disk which is asked for each one alone.
func writers() map[string]int { return map[string]int{"file": 64, "hook": 16, "probe": 32} }

func (d *destinations) file(f *config.FileSink, pr *printer) (refresher.SinkSpec, error) {
	format, err := fileFormat(f)
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "file", f.Path, err)
	}
	s, err := file.New(file.Options{Path: f.Path, Mode: f.Mode, DirMode: f.DirMode, Owner: f.Owner, Group: f.Group, Format: format, Monitor: d.files})
	if err != nil {
		return refresher.SinkSpec{}, fmt.Errorf("sink %q %s: %w", "file", f.Path, err)
	}
	pr.begin("file").str(f.Path, f.Owner, f.Group, f.Format, f.Template, f.Variable, f.Machine, f.Login, f.OnRemove)
	pr.num(int64(f.Mode), int64(f.DirMode))
	return refresher.SinkSpec{Kind: "file", Target: f.Path, Sink: s, Remove: f.OnRemove == "delete", Fingerprint: pr.sum()}, nil
}

// load reads the configuration, templates included.
func load(paths []string) (*config.Config, *config.Report) {
	return config.Load(paths, config.Options{CheckTemplate: CheckTemplate})
}

// CheckTemplate reports what is wrong with a sink's template.
func CheckTemplate(text string) error {
	_, err := sinks.NewTemplate(text)
	return err
}

func fileFormat(f *config.FileSink) (sinks.Format, error) {
	if f.Template != "" {
		return sinks.NewTemplate(f.Template)
	}
	return sinks.NewFormat(f.Format, sinks.FormatOptions{Variable: f.Variable, Machine: f.Machine, Login: f.Login})
}
