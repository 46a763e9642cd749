"""Alembic's environment: runs the migrations on the connection of `database._migrate`."""

from alembic import context

from tagger.library.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
