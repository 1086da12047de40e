"""Real Kubernetes API server, PostgreSQL and Prometheus as processes of one user, on loopback.

Used by the demo and by the tests alike. Of the product only `product` and `demo` know.
"""
