"""Alembic's entry: runs the migrations on the connection that `tagger.catalogue` hands over."""

from alembic import context

from tagger.library.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
