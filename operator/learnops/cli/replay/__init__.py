"""`learnops crl replay`: past runs and decisions under other weights."""
