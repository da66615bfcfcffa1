package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// BlockDoc is one kind of block, for the documentation.
type BlockDoc struct {
	Path    string // such as "provider.request" or `token.sink "file"`
	Head    string // how it is written, such as `request "GRANT_TYPE" { … }`
	Often   string // how many of them there may be
	Meaning string
	Keys    []KeyDoc // in the order in which they are read best
}

// KeyDoc is one key of a block.
type KeyDoc struct {
	Name     string
	Type     string
	Words    []string // all that a text may be; nil where it may be any
	Required bool
	Default  string // a value of the language, or words; empty when there is none
	Meaning  string // one line
}

// IsLiteral reports whether the Default is a value that can be written as it is.
func (k KeyDoc) IsLiteral() bool {
	expr, diags := hclsyntax.ParseExpression([]byte(k.Default), "", hcl.InitialPos)
	if diags.HasErrors() {
		return false
	}
	_, diags = expr.Value(nil)
	return !diags.HasErrors()
}

// Types of keys, as the documentation calls them.
const (
	typeText     = "text"
	typeSecret   = "secret"
	typePath     = "path"
	typeMode     = "file mode"
	typeDuration = "duration"
	typeNumber   = "number"
	typeInteger  = "whole number"
	typeBool     = "true or false"
	typeTexts    = "list of texts"
	typeMap      = "map of texts"
	typeSecrets  = "map of secrets"
	typeScope    = "list of texts, or a text"
	typeElements = "list, set or map"
	typeName     = "name"
)

// described is a kind of block and what the documentation says of it.
type described struct {
	path, head, often, meaning string
	schema                     *schema
	keys                       []KeyDoc
}

// Reference describes every block and every key of the language, from the
// schemas by which Load judges a configuration. Its text is Markdown.
func Reference() []BlockDoc {
	all := descriptions()
	docs := make([]BlockDoc, len(all))
	for i, d := range all {
		docs[i] = BlockDoc{Path: d.path, Head: d.head, Often: d.often, Meaning: d.meaning, Keys: d.keys}
		for j := range d.keys {
			docs[i].Keys[j].Required = slices.Contains(d.schema.required, d.keys[j].Name)
		}
	}
	return docs
}

func descriptions() []described {
	return slices.Concat(stateReference(), daemonReference(), remoteReference(), providerReference(), policyReference(), tokenReference(), sinkReference())
}

// FunctionNames lists the functions that read nothing outside the configuration,
// in the order of their names.
func FunctionNames() []string {
	var names []string
	for name := range pureFunctions() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func text(name, def, meaning string) KeyDoc {
	return KeyDoc{Name: name, Type: typeText, Default: def, Meaning: meaning}
}

func key(name, typ, def, meaning string) KeyDoc {
	return KeyDoc{Name: name, Type: typ, Default: def, Meaning: meaning}
}

func words(name string, all []string, def, meaning string) KeyDoc {
	return KeyDoc{Name: name, Type: typeText, Words: all, Default: def, Meaning: meaning}
}
