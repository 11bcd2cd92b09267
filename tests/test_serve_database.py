"""The tables as migrations make them, and the database's clock, on SQLite and on PostgreSQL."""

import os
import subprocess
import sys
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve.database import now, open_database, reading
from sansface.serve.tables import Account, Base


def test_the_migrated_tables_are_those_of_the_code(engine, database_url):
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
    open_database(database_url).dispose()  # nothing is left to do


def test_many_processes_may_open_a_new_database_at_once(database_url):
    code = f"from sansface.serve.database import open_database; open_database({database_url!r}).dispose()"
    started = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(p.communicate()[1], p.returncode) for p in started] == [(b"", 0)] * 4


def test_the_clock_is_that_of_the_system_and_goes_on_within_a_transaction(engine):
    with Session(engine) as session:
        first = now(session)
        assert first == pytest.approx(time.time(), abs=5)
        time.sleep(0.02)
        assert 0.01 < now(session) - first < 5


def test_a_reader_waits_for_no_writer(engine):
    with Session(engine) as writer, Session(reading(engine)) as reader:
        writer.add(Account(name="a", password="", created=now(writer)))
        writer.flush()
        assert reader.query(Account).count() == 0


def test_sqlite_is_private_durable_and_forgets(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path}/service.db")
    assert os.stat(tmp_path / "service.db").st_mode & 0o777 == 0o600
    with engine.connect() as connection:
        said = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "secure_delete")
        }
    engine.dispose()
    assert said == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "secure_delete": 1}


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("holiday", "makes no sense"),
        ("mysql://root:secret@localhost/x", "mysql is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:////nowhere/at/all.db", "cannot be used"),
        ("postgresql://anna:secret@localhost:1/x", "cannot be used"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_sentence_without_the_secret(url, sentence):
    with pytest.raises(SansfaceError, match=sentence) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
