// Package manifests tests the project's manifests: the real kustomize renders
// them, a real API server takes and judges them, and tokend runs by them, as the
// kubelet would run it.
package manifests
