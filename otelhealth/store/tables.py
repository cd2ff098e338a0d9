"""The tables of the store: made in a new file, and read."""

import sqlite3

from otelhealth import sqlite
from otelhealth.records import History
from otelhealth.store.rows import change_record, run_record

VERSION = 1
_SCHEMA = """
CREATE TABLE checks (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE states (name TEXT PRIMARY KEY, at REAL NOT NULL, snapshot TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (id INTEGER PRIMARY KEY, check_id INTEGER NOT NULL, started REAL NOT NULL, status INTEGER NOT NULL,
    duration REAL NOT NULL, message TEXT NOT NULL, error_type TEXT, trace BLOB);
CREATE INDEX runs_of_check ON runs (check_id, started);
CREATE TABLE changes (id INTEGER PRIMARY KEY, check_id INTEGER NOT NULL, since REAL NOT NULL, at REAL NOT NULL,
    previous INTEGER NOT NULL, status INTEGER NOT NULL, message TEXT NOT NULL, error_type TEXT, trace BLOB);
CREATE INDEX changes_of_check ON changes (check_id, at);
CREATE TABLE hours (check_id INTEGER NOT NULL, hour INTEGER NOT NULL, passed INTEGER NOT NULL, warned INTEGER NOT NULL,
    failed INTEGER NOT NULL, unknown INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (check_id, hour)) WITHOUT ROWID;
CREATE TABLE counters (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none. Raises sqlite3.Error, also for those of a newer otelhealth."""
    sqlite.prepare(connection, _SCHEMA, VERSION, log_size=2**24)


def history(connection: sqlite3.Connection, name: str, since: float, limit: int) -> History:
    """See `Store.history`."""
    runs = connection.execute(
        "SELECT started, status, duration, message, error_type, trace FROM runs WHERE started >= ? AND check_id = "
        "(SELECT id FROM checks WHERE name = ?) ORDER BY started DESC LIMIT ?",
        (since, name, limit),
    )
    changes = connection.execute(
        "SELECT at, since, previous, status, message FROM changes WHERE at >= ? AND check_id = "
        "(SELECT id FROM checks WHERE name = ?) ORDER BY at DESC, id DESC LIMIT ?",
        (since, name, limit),
    )
    return History(name=name, runs=[run_record(row) for row in runs], changes=[change_record(row) for row in changes])
