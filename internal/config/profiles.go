package config

import (
	"embed"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// baseProfile is RFC 6749 to the letter, and the ground under every profile.
const baseProfile = "rfc6749"

// profileDir is where diagnostics see the embedded profiles.
const profileDir = "profiles/"

//go:embed profiles/*.hcl
var profileFiles embed.FS

// profileNames lists the profiles in the order of their names.
func (d *decoder) profileNames() []string {
	entries, err := profileFiles.ReadDir("profiles")
	if err != nil {
		d.problem("Cannot list profiles", err.Error())
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".hcl")
	}
	return names
}

// profile opens an embedded profile as a layer.
func (d *decoder) profile(name string) layer {
	if known, ok := d.layers[name]; ok {
		return known
	}
	nothing := layer{section: section{block: &block{body: body{syn: &hclsyntax.Body{}}}, d: d}}
	file := path.Join("profiles", name+".hcl")
	data, err := profileFiles.ReadFile(file)
	if err != nil {
		d.problem("Cannot read profile", err.Error())
		return nothing
	}
	src, ok := d.parseBytes(data, file, "/")
	if !ok {
		return nothing
	}
	l := layer{section: section{block: &block{body: src.body, defRange: src.body.syn.SrcRange}, d: d}, profile: true}
	l.blocks = d.blocks(src.body, &providerSchema)
	d.layers[name] = l
	return l
}
