"""Alembic's entry: run the revisions in the transaction that `database.migrate` holds."""

from alembic import context

from sansface.serve.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite can, too
    render_as_batch=True,  # SQLite alters a column by copying the table
)
with context.begin_transaction():
    context.run_migrations()
