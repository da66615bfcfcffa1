// Package devview draws the live terminal view of `tokend dev`: the tokens, how
// much of their lifetime is left, and what the authorization server saw. [Render]
// is a pure function from a [Frame] to text; [Run] puts its frames on a terminal,
// or, where the output is none, prints what changed as single lines.
//
// [Bar], [Short] and [Style] serve other views of the same things.
package devview
