// Package image is the project's container image for tests on machines without a
// container engine. [Build] does what the Dockerfile says, instruction by
// instruction, and [Container] runs it as an engine would: in a root of its own
// that is read-only, as the image's unprivileged user, without a way to more
// rights, with volumes mounted. The network is the machine's.
package image
