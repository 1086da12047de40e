"""Real Kubernetes API server, PostgreSQL and Prometheus as processes of one user, on loopback.

Used by the demo and by the tests alike. It knows nothing of the product.
"""
