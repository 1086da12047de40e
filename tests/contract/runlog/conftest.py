"""A run log with the schema."""

from tests.databases import database

__all__ = ["database"]
