// Package file keeps a token in a file.
//
// A new content is written to a temporary file in the target's own directory,
// created exclusively with mode 0600, given to its owner, then its mode, synced,
// and renamed over the target; then the directory is synced. The order is the
// whole of it: a reader sees one complete content at every moment, the content is
// on the disk before the name points to it, and at no time may anybody read it
// who may not read it in the end. Nothing is ever truncated or written in place.
// Where a rename is impossible (the target is a mount point, a directory, a FIFO)
// the answer is an error that says what to do, for every way around it would show
// some reader half a token.
//
// The parent directory is opened once, following the symbolic links that its
// owner put into the configured path, and everything happens relative to that
// open directory ([os.Root]). A parent that is swapped between two steps thus
// redirects nothing; it is noticed by comparing the directory at the path with
// the open one, and the write starts over. A symbolic link at the target is
// replaced, not followed.
//
// Thousands of files often share one directory and are due at once, so what
// costs is shared. The handle of a directory stays open while it is in use, and
// the steps of writes that are due together are taken by one goroutine for each
// local disk, with one sync for all that they have changed. Elsewhere each file is
// synced by itself, and the sync of a directory is a group commit: whoever has
// renamed waits for a sync that started afterwards, and all who wait share it.
// google/renameio does nothing of this, knows no os.Root, and sets the mode before
// the owner, which is why it is not used here.
//
// A [Monitor] tells when somebody else changed a file. It also holds what the
// file sinks of a process share, so a process makes one and gives it to all.
package file
