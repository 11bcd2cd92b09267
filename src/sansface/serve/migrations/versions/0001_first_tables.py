"""The first tables. Revisions only go forward: back is a backup restored."""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        Column("id", String(32), primary_key=True),
        Column("name", String(64), nullable=False, unique=True),
        Column("password", String(256), nullable=False),
        Column("created", Float, nullable=False),
        Column("disabled", Boolean, nullable=False),
        Column("max_bytes", BigInteger),
        Column("max_jobs", Integer),
    )
    op.create_table(
        "tokens",
        Column("id", String(32), primary_key=True),
        _account(),
        Column("secret", String(64), nullable=False, unique=True),
        Column("scopes", String(200), nullable=False),
        Column("created", Float, nullable=False),
        Column("expires", Float, nullable=False),
    )
    op.create_table(
        "bundles",
        Column("id", String(32), primary_key=True),
        _account(),
        Column("digest", String(64), nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("about", JSON, nullable=False),
        Column("created", Float, nullable=False),
        Column("expires", Float, nullable=False, index=True),
        UniqueConstraint("account_id", "digest"),
    )
    op.create_table(
        "jobs",
        Column("id", String(32), primary_key=True),
        _account(),
        Column(
            "bundle_id", String(32), ForeignKey("bundles.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        Column("settings", JSON, nullable=False),
        Column("settings_digest", String(64), nullable=False),
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("attempt", String(32)),
        Column("worker", String(100)),
        Column("lease_until", Float),
        Column("not_before", Float, nullable=False),
        Column("progress", JSON),
        Column("sentence", String(1000)),
        Column("created", Float, nullable=False),
        Column("started", Float),
        Column("finished", Float),
        Column("expires", Float, nullable=False, index=True),
        UniqueConstraint("bundle_id", "settings_digest"),
        Index("jobs_to_take", "state", "created"),
    )
    op.create_table(
        "result_files",
        Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        Column("name", String(100), primary_key=True),
        Column("size", BigInteger, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("stored", String(200), nullable=False),
    )
    op.create_table(
        "events",
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("at", Float, nullable=False, index=True),
        Column("account_id", String(32), index=True),
        Column("action", String(40), nullable=False),
        Column("object_id", String(64)),
        Column("outcome", String(40), nullable=False),
    )
    op.create_table(
        "deletions",
        Column("object_id", String(32), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("at", Float, nullable=False, index=True),
    )


def _account() -> Column:
    return Column(
        "account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True
    )
