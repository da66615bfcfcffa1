package kube

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// inCluster is where a pod finds the namespace of its ServiceAccount.
const inCluster = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// resolve finds the API server and the namespace.
func resolve(o Options) (*rest.Config, string, error) {
	if o.Kubeconfig == "" && o.Context == "" && os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, "", fmt.Errorf("use the pod's ServiceAccount: %w", err)
		}
		namespace, err := os.ReadFile(inCluster)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("read the pod's namespace: %w", err)
		}
		return config, strings.TrimSpace(string(namespace)), nil
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	rules.WarnIfAllMissing = false
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	return config, namespace, nil
}

// harden sets what tokend does otherwise than client-go.
func harden(config *rest.Config, o Options) error {
	host, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return fmt.Errorf("read the API server's address: %w", err)
	}
	if host.Scheme != "https" && !isLoopback(host.Hostname()) {
		return fmt.Errorf("the API server's address %s is not https: tokens do not leave this machine unencrypted", host.Redacted())
	}
	config.UserAgent = o.UserAgent
	if config.UserAgent == "" {
		config.UserAgent = "tokend"
	}
	if config.Proxy == nil {
		config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	config.WarningHandler, config.WarningHandlerWithContext = rest.NoWarnings{}, nil
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	// An API server compresses each event of a watch, which costs both sides more
	// than a kilobyte on the way.
	config.DisableCompression = true
	config.Timeout = 0 // it would end watches too; every call has a context
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return frank{next} })
	return nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
