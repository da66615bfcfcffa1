// Package problem says, for each code that status, log and page show, what has
// happened, why, and what a person can do about it.
//
// The codes are stable: a new one may be added, none changes its meaning. The
// words are for people who operate the daemon and did not write it.
package problem
