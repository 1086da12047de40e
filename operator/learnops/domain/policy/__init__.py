"""What follows from a policy's content alone: its digest, its identity and its lineage."""
