"""The run log in PostgreSQL: schema, the operator's port, registration, ingest, the prefix."""
