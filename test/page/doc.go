// Package page looks at the status page in a browser: Debian's Chromium, driven by
// playwright-core. The page is served by a scripted source, so that every state is
// there at once and changes come when they are asked for.
package page
