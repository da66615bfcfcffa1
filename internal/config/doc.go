// Package config turns HCL files into one immutable [Config].
//
// [Load] reads every file and directory it is given, merges them, evaluates
// the expressions, lays what a provider says upon what its profile says, and
// only then validates; each of these passes goes on after a fault, so that one
// run reports everything that is wrong with a configuration. The faults come
// back in a [Report], with file, line and source snippet, and in words that say
// what to do. Nothing else in tokend knows that the language is HCL.
//
// # Layers
//
// A profile is itself a piece of configuration, written with the blocks of a
// provider and embedded from profiles/. The profile "rfc6749" is the ground
// under all others. For every key, the last of these that sets it wins:
//
//	rfc6749  <  rfc6749, by grant_type  <  the profile  <  the profile, by grant_type
//	         <  the provider            <  the provider, by grant_type
//
// What a user writes without a label thus applies to every token request, and
// displaces what a profile says about one grant_type alone. Maps (headers,
// query, params) are merged key by key; a null takes a key away.
//
// # Fleets
//
// A dynamic block means what the dynblock extension of HCL makes of it, and is
// expanded here instead: the extension hides the iterator from blocks whose
// attributes are not known beforehand, as those of a grant, and it builds a
// scope for every attribute, which a fleet of ten thousand tokens feels.
//
// # Secrets
//
// A value that file, credential, env, vault or kubernetes_secret returns is
// marked with where it came from. A marked value that arrives in a secret field
// proves that the file behind it was not readable by everybody. Diagnostics show
// no value of any variable, and a snippet shows only literals that are known to
// be no secret.
//
// # Kubernetes and Vault
//
// The kubernetes and vault blocks are decoded before anything else is, since the
// functions vault and kubernetes_secret read by them, through a [Remote], what
// everything else may be made of. Without one, what they would return is not
// known: Load then judges whatever does not hang on it. A fault of a value that
// is not known is never reported.
//
// # Paths
//
// What is read (file, tls) may be relative, to the directory of the file that
// says so. What is written (state, sockets, sinks) must be absolute.
package config
