// Package kubernetes is a real Kubernetes API server for tests: etcd and
// kube-apiserver, built from their Go modules by test/kubernetes, with RBAC, the
// default admission plug-ins and an audit log, on loopback. There is no
// controller manager and no kubelet: a Deployment makes no Pods, a namespace has
// no ServiceAccount of its own, and a deleted namespace stays Terminating.
//
// A package of tests has one cluster, and each test a namespace in it:
//
//	var cluster *kubernetes.Cluster
//
//	func TestMain(m *testing.M) { os.Exit(kubernetes.Main(m, &cluster)) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		namespace := cluster.Namespace(t)
//		config := cluster.ServiceAccount(t, namespace, "tokend", rules...)
//
// A test that kills the API server starts a cluster of its own.
package kubernetes
