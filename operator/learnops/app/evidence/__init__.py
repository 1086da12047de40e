"""Reading evidence: from the run log (Anytime) or from Prometheus counters (Counters)."""
