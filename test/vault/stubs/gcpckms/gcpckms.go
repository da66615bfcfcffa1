// Package gcpckms stands in for the key wrapper of a cloud, which the server of these
// tests never asks for, and keeps that cloud's SDK out of its build.
package gcpckms

import wrapping "github.com/hashicorp/go-kms-wrapping/v2"

// Wrapper wraps nothing.
type Wrapper struct{ wrapping.Wrapper }

// NewWrapper returns a Wrapper that must not be used.
func NewWrapper() *Wrapper { return &Wrapper{} }
