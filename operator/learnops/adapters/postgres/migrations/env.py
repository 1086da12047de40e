"""Alembic's environment: one transaction per upgrade on the connection that `migrate` hands in."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
