//go:build !race

package page

// slowdown is none: what is tested is what is shipped.
const slowdown = "1"
