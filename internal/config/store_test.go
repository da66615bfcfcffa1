package config

import (
	"context"
	"fmt"
	"strings"
)

// store stands for Vault and Kubernetes. It counts what it was asked for.
type store struct {
	values  map[string]string // by place and field
	down    map[string]bool   // by block
	offline bool
	asked   map[string]int
}

func newStore() *store {
	return &store{values: map[string]string{}, down: map[string]bool{}, asked: map[string]int{}}
}

func (s *store) prepare(words []string) {
	switch {
	case len(words) == 4 && (words[0] == "vault" || words[0] == "secret"):
		s.values[words[1]+" "+words[2]] = words[3]
	case len(words) == 2 && words[0] == "down":
		s.down[words[1]] = true
	case len(words) == 1 && words[0] == "offline":
		s.offline = true
	}
}

func (s *store) read(block, place, field string) (string, error) {
	s.asked[strings.Join([]string{block, place, field}, " ")]++
	if s.down[block] {
		return "", fmt.Errorf("log in: the server is sealed; unseal it: %w", ErrUnavailable)
	}
	value, ok := s.values[place+" "+field]
	if !ok {
		return "", fmt.Errorf("there is no %s at %s; write it there first", field, place)
	}
	return value, nil
}

func (s *store) Vault(_ context.Context, block *Vault, path, field string) (string, error) {
	return s.read(block.Name, path, field)
}

func (s *store) KubernetesSecret(_ context.Context, block *Kubernetes, namespace, name, key string) (string, error) {
	return s.read(block.Name, namespace+"/"+name, key)
}
