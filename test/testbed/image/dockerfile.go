package image

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Instruction is one of a Dockerfile, with its continuation lines joined.
type Instruction struct {
	Stage string // name of the stage, or its base where it has none
	Name  string // in upper case
	Args  string
}

// ReadDockerfile reads a Dockerfile's instructions, in order.
func ReadDockerfile(path string) ([]Instruction, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the Dockerfile: %w", err)
	}
	var all []Instruction
	var stage, open string
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if rest, goesOn := strings.CutSuffix(line, "\\"); goesOn {
			open += rest
			continue
		}
		name, args, _ := strings.Cut(open+line, " ")
		open = ""
		if strings.EqualFold(name, "FROM") {
			words := strings.Fields(args)
			stage = words[len(words)-1]
		}
		all = append(all, Instruction{stage, strings.ToUpper(name), strings.TrimSpace(args)})
	}
	return all, nil
}

// flags splits leading --name=value flags from an instruction's arguments.
func (i Instruction) flags() (flags map[string]string, rest []string) {
	flags = map[string]string{}
	rest = strings.Fields(i.Args)
	for len(rest) > 0 && strings.HasPrefix(rest[0], "--") {
		name, value, _ := strings.Cut(rest[0][2:], "=")
		flags[name] = value
		rest = rest[1:]
	}
	return flags, rest
}

// exec reads arguments in exec form: a JSON array, perhaps after flags and CMD.
func (i Instruction) exec() ([]string, error) {
	var words []string
	at := strings.IndexByte(i.Args, '[')
	if at < 0 {
		return nil, fmt.Errorf("%s is not in exec form, which needs no shell: %s", i.Name, i.Args)
	}
	if err := json.Unmarshal([]byte(i.Args[at:]), &words); err != nil {
		return nil, fmt.Errorf("read %s: %w", i.Name, err)
	}
	return words, nil
}
