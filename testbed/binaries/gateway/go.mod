// Pins the Gateway API, of which only the CRDs (YAML) are used.
module learnops.testbed/gateway

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.3
