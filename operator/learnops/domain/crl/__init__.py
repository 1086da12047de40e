"""The composite run loss (CRL): one number in [0, 1] per run, lower is better."""
