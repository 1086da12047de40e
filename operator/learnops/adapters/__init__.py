"""Each port's real implementation: Kubernetes, Postgres, Prometheus, HTTPRoute."""
