package kubernetes

// SeenVersion is the version of the Secret that the watch has seen last.
func (s *Sink) SeenVersion() string {
	seen, _ := s.secrets.Get(s.name)
	return seen.ResourceVersion
}
