"""Protocols of what the application needs from outside. Each has one contract suite."""
