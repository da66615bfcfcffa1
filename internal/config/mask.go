package config

// mask withholds the source of snippets.
func mask([]byte, string) []byte { return nil }

func showMasks(text []byte) []byte { return text }
