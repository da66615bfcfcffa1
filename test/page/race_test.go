//go:build race

package page

// slowdown is how much longer the race detector lets a server take.
const slowdown = "3"
