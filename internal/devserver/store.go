package devserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const stateVersion = 1

type stateFile struct {
	Version  int       `json:"version"`
	Families []*family `json:"families"`
}

// load fills the ledger from the state file.
func (s *Server) load() error {
	path := s.options.StatePath
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the development server's state: %w", err)
	}
	var stored stateFile
	if err := json.Unmarshal(text, &stored); err != nil || stored.Version != stateVersion {
		s.options.Logger.Warn("development server starts without its state: the file is damaged", "path", path)
		if err := os.Rename(path, path+".damaged"); err != nil {
			return fmt.Errorf("putting the development server's damaged state aside: %w", err)
		}
		return nil
	}
	for _, f := range stored.Families {
		if f != nil {
			s.ledger.add(f)
		}
	}
	s.ledger.prune(s.options.Now())
	return nil
}

// save writes the ledger before an answer leaves, so that no client holds a
// token that a restart has forgotten. A failure is logged once and kept for
// Close; the server goes on, since it is there to be played with.
func (s *Server) save() {
	if s.options.StatePath == "" {
		return
	}
	s.ledger.prune(s.options.Now())
	err := s.write()
	if err != nil && s.behind == nil {
		s.options.Logger.Error("development server cannot keep its state", "error", err)
	}
	s.behind = err
}

func (s *Server) write() error {
	stored := stateFile{Version: stateVersion, Families: make([]*family, 0, len(s.ledger.families))}
	for f := range s.ledger.families {
		stored.Families = append(stored.Families, f)
	}
	slices.SortFunc(stored.Families, func(a, b *family) int { return a.Touched.Compare(b.Touched) })
	text, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encoding the development server's state: %w", err)
	}
	if err := replaceFile(s.options.StatePath, text); err != nil {
		return fmt.Errorf("writing the development server's state: %w", err)
	}
	return nil
}

// replaceFile puts content under path in one step. CreateTemp makes it 0600.
func replaceFile(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".devserver-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
