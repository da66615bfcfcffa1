// Package systemd tells a service manager, by the protocol of sd_notify(3), how
// the daemon is: when it is ready, that it reads its configuration anew, in one
// sentence how its tokens are, that its scheduler goes round, and that it stops.
//
// # Ready
//
// A unit that is ordered after the daemon's starts once READY=1 was said. That is
// when every token was obtained and every sink has held it at least once, so that
// such a unit finds what it needs. A server that is down may hold this up for
// long, which is no reason to be started anew: for as long as its scheduler goes
// round, the daemon asks for more time (EXTEND_TIMEOUT_USEC). [Started] is for
// those who would rather not wait.
//
// # The watchdog
//
// A timer of its own would feed the watchdog of a daemon that does nothing any
// more. Here it is fed for a [Reporter.Beat] alone, which the scheduler's loop
// calls when it has gone round; whatever holds up the loop stops the beats.
package systemd
