// Package image tests the project's container image: what the Dockerfile's own
// commands make is run in an empty root, by an unprivileged user, read-only. No
// container engine is needed, and none could be trusted to run everywhere.
package image
