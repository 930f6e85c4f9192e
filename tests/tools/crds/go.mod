module siar.dev/tests/tools/crds

go 1.26.0

// Nothing of them is built: they hold the definitions of kinds that the chart can make.
require (
	github.com/envoyproxy/gateway v1.9.1
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.3
)
