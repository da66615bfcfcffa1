// Package systemd tests tokend as systemd meets it: a process that is given a
// NOTIFY_SOCKET and is started, reloaded, stalled and stopped; and the unit that
// the packages ship, verified and scored by systemd's own tools. What the daemon
// tells, and when, internal/systemd holds to exact instants.
package systemd
