// Package packages tests what packaging/build.sh makes: that the same sources make
// the same packages, that lintian finds no fault, and that the Debian package can
// be installed in a clean system, be used there, and be removed without a trace.
// The system is made by mmdebstrap of Debian's own packages; root is needed, or a
// kernel that lets users make namespaces.
package packages
