# SPDX-License-Identifier: Apache-2.0
"""What earlier drift reports found: when a finding was first seen, what is new, what is gone, and the trend.

One SQLite file beside the reports. A finding has episodes: one is open from the report that sees it first to the one
that no longer does. Reports count in the order in which they were added, whatever the clock says.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ..notice.message import CONTROL, FLEET, between_of

Fleet = dict[str, Any]

VERSION = 2  # PRAGMA user_version; format 1 had a checksum in every row
BUSY_S = 5.0  # the wait for another process
KEEP_DAYS = 400
TREND = 30
COUNTS = ("nodes", "clean", "drifted", "unchecked", "findings")
MENTIONED = ("node", "id", "component", "level", "name", "subject", "problem", "first_seen", "last_seen")
POINT = ("made", *COUNTS)
COLUMNS = {"report": (*POINT, "partial"), "episode": (*MENTIONED, "gone")}
# PRAGMA integrity_check also verifies these constraints: the page computes with times and counts.
_TIME = "{0} TEXT CHECK ({0} IS strftime('%Y-%m-%dT%H:%M:%SZ', {0}, '+0 days'))"
_TEXT = "{0} TEXT NOT NULL CHECK (typeof({0}) = 'text')"
_NUMBER = "{0} INTEGER NOT NULL CHECK (typeof({0}) = 'integer' AND {0} >= 0)"
_TYPES = dict.fromkeys(("made", "first_seen", "last_seen"), f"{_TIME} NOT NULL") | {"gone": _TIME}
_TYPES |= dict.fromkeys((*COUNTS, "partial"), _NUMBER)


def _table(name: str) -> str:
    columns = ", ".join(_TYPES.get(column, _TEXT).format(column) for column in COLUMNS[name])
    return f"CREATE TABLE {name} (number INTEGER PRIMARY KEY, {columns})"


TABLES = {
    "report": _table("report"),
    "episode": _table("episode"),
    "open_episode": "CREATE UNIQUE INDEX open_episode ON episode (id) WHERE gone IS NULL",
}
# SQLite says these as OperationalError, as it does for what the machine lacks; Python 3.10 gives no code.
DAMAGE = ("malformed", "unsupported file format", "no such table", "no such column")
UNKNOWN = "this report cannot say what is new, gone or still there"


class _DamagedError(Exception):
    """The file is not a history any more."""


class _UnusableError(Exception):
    """The history cannot be used, and is left as it is; says why, and what to do."""


class _Compared(NamedTuple):
    """What a report is beside the history."""

    since: str | None
    first_seen: dict[str, str]  # id -> time, of the findings that were there before
    new: list[dict[str, str]]
    gone: list[dict[str, str]]
    trend: list[dict[str, Any]]


def update(path: Path, fleet: Fleet, keep_days: int = KEEP_DAYS) -> None:
    """Add ``fleet`` to the history at ``path``; fill in its findings' first_seen and status, changes, trend, history.

    A problem with the history never loses the report and raises nothing: fleet["history"] says what is wrong and what
    to do. Then every finding is new and first seen now, changes are empty, and since is None. A damaged file is moved
    to <path>.broken-<UTC>, and a new one begins. What is older than ``keep_days`` is removed, except open findings and
    the reports of the trend.
    """
    try:
        try:
            compared, note = _add(path, fleet, keep_days), None
        except _DamagedError as damage:
            aside = _move_aside(path, fleet["made"])
            compared = _add(path, fleet, keep_days)
            note = f"{path} was damaged ({damage}). It is now {aside.name}; a new history starts: every finding is new."
    except (_UnusableError, _DamagedError) as reason:
        compared, note = _without_history(fleet), f"{path} {reason}"
    except OSError as error:
        compared, note = (
            _without_history(fleet),
            f"{path} cannot be used ({error.strerror}): {UNKNOWN}. Next: ls -ld {path.parent}",
        )
    _fill(fleet, compared, note)


def _fill(fleet: Fleet, compared: _Compared, note: str | None) -> None:
    still = 0
    for _, finding in _findings(fleet):
        known = compared.first_seen.get(finding["id"])
        finding["first_seen"] = known or fleet["made"]
        finding["status"] = "still" if known else "new"
        still += known is not None
    fleet["changes"] = {"since": compared.since, "new": compared.new, "gone": compared.gone, "still": still}
    fleet["trend"] = compared.trend
    fleet["history"] = note


def _without_history(fleet: Fleet) -> _Compared:
    """A report without a history."""
    return _Compared(None, {}, [], [], [] if fleet["partial"] else [_point(fleet)])


def _add(path: Path, fleet: Fleet, keep_days: int) -> _Compared:
    """Add the report in one transaction, or nothing. Raises _DamagedError, _UnusableError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise _UnusableError(f"is not a file: {UNKNOWN}. Next: mv {path} {path}.aside")
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as database:
            database.text_factory = lambda stored: stored.decode("utf-8", "replace")
            database.row_factory = sqlite3.Row
            database.execute("BEGIN EXCLUSIVE")
            _prepare(database)
            since = database.execute("SELECT made FROM report ORDER BY number DESC LIMIT 1").fetchone()
            known = _open_episodes(database)
            found = {finding["id"]: _mention(node, finding, fleet["made"]) for node, finding in _findings(fleet)}
            _rename(database, known, found)
            gone = [known[key] for key in _gone(fleet, known, found)]
            _store(database, fleet, found, gone)
            _prune(database, fleet["made"], keep_days)
            trend = _trend(database)
            database.execute("COMMIT")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite's message may hold a damaged name
        raise _classified(path, error) from error
    return _Compared(
        since=since["made"] if since else None,
        first_seen={key: known[key]["first_seen"] for key in found.keys() & known.keys()},
        new=_in_order(fleet, [mention for key, mention in found.items() if key not in known]),
        gone=_in_order(fleet, gone),
        trend=trend,
    )


def _classified(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> _DamagedError | _UnusableError:
    """Distinguish damage, which is permanent, from a lack of the machine, which is temporary."""
    message = str(error)
    if not isinstance(error, sqlite3.OperationalError) or any(damage in message for damage in DAMAGE):
        return _DamagedError(message)
    if "locked" in message:
        return _UnusableError(f"is used by another process: {UNKNOWN}. Next: fuser -v {path}")
    if "full" in message:
        return _UnusableError(f"cannot be written, the disk is full: {UNKNOWN}. Next: df -h {path.parent}")
    return _UnusableError(
        f"cannot be used ({message}): {UNKNOWN}. Next: ls -ld {path.parent} {path}; df -h {path.parent}"
    )


def _prepare(database: sqlite3.Connection) -> None:
    """Create the tables in an empty file; require that any other file is intact, ours, and of the present format."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if not version and not _tables(database):
        _create_tables(database)
        return
    if version > VERSION:
        raise _UnusableError(
            f"was written by a newer ascend-fleet (format {version}, this one reads {VERSION}): {UNKNOWN}. "
            "Next: use that ascend-fleet, or move the file away"
        )
    problem = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise _DamagedError(" ".join(str(problem).split()))
    if version == 1:
        _upgrade(database)
    if not version or _tables(database) != TABLES:
        raise _DamagedError("its tables are not the expected ones")


def _tables(database: sqlite3.Connection) -> dict[str, str]:
    return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


def _create_tables(database: sqlite3.Connection) -> None:
    for statement in TABLES.values():
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")


def _upgrade(database: sqlite3.Connection) -> None:
    """Copy the rows of format 1 into tables of the present format (SQLite drops columns from 3.35 on only)."""
    database.execute("DROP INDEX IF EXISTS open_episode")
    for table in COLUMNS:
        database.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _create_tables(database)
    for table, columns in COLUMNS.items():
        names = ", ".join(("number", *columns))
        database.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM old_{table}")
        database.execute(f"DROP TABLE old_{table}")


def _open_episodes(database: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Return the findings that the last report which checked them had, by id."""
    rows = database.execute(f"SELECT {', '.join(MENTIONED)} FROM episode WHERE gone IS NULL")
    return {row["id"]: dict(row) for row in rows}


def _trend(database: sqlite3.Connection) -> list[dict[str, Any]]:
    newest = f"SELECT {', '.join(POINT)} FROM report WHERE NOT partial ORDER BY number DESC LIMIT {TREND}"
    return [dict(row) for row in reversed(database.execute(newest).fetchall())]


def _rename(database: sqlite3.Connection, known: dict[str, dict[str, str]], found: dict[str, dict[str, str]]) -> None:
    """Give findings that were known by their text their present id, so that a better text is nothing new.

    Earlier versions knew the damage of an environment so. One of the same name on the same node continues each.
    """
    same = ("node", "component", "name")
    by_text = [key for key, mention in known.items() if key not in found and mention["subject"] == mention["problem"]]
    for key in by_text:
        fresh = (mention for number, mention in found.items() if number not in known)
        present = next((each for each in fresh if all(each[name] == known[key][name] for name in same)), None)
        if present:
            values = {name: present[name] for name in ("id", "subject")}
            known[present["id"]] = {**known.pop(key), **values}
            database.execute(
                "UPDATE episode SET id = :id, subject = :subject WHERE id = :old AND gone IS NULL",
                {**values, "old": key},
            )


def _gone(fleet: Fleet, known: dict[str, dict[str, str]], found: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield the ids that are open, are not found, and would have been."""
    nodes = {_text(node["name"]): node for node in fleet["nodes"]}
    for key, mention in known.items():
        node, component = nodes.get(mention["node"]), mention["component"]
        if key in found:
            continue
        if mention["node"] == FLEET:
            checked = _all_compared(fleet)
        elif node is None:
            # The whole inventory was checked, and the node is no longer in it.
            checked = fleet["limit"] is None
        else:
            checked = component in fleet["components"] and node["components"].get(component, "unknown") != "unknown"
            # Of a node that could not be checked nothing is known but why.
            checked = checked and (node["state"] != "unchecked" or component == "access")
        if checked:
            yield key


def _all_compared(fleet: Fleet) -> bool:
    """Whether a difference that was not found is gone; a node that was not asked, or is silent, may still differ."""
    return fleet["limit"] is None and between_of(fleet)["compared"] == len(fleet["nodes"])


def _store(
    database: sqlite3.Connection, fleet: Fleet, found: dict[str, dict[str, str]], gone: list[dict[str, str]]
) -> None:
    database.executemany(
        f"INSERT INTO episode ({', '.join(MENTIONED)}) VALUES (:{', :'.join(MENTIONED)}) "
        "ON CONFLICT (id) WHERE gone IS NULL DO UPDATE "
        "SET level = excluded.level, problem = excluded.problem, last_seen = excluded.last_seen",
        found.values(),
    )
    ended = [(fleet["made"], mention["id"]) for mention in gone]
    database.executemany("UPDATE episode SET gone = ? WHERE id = ? AND gone IS NULL", ended)
    report = {**_point(fleet), "partial": int(fleet["partial"])}
    database.execute(f"INSERT INTO report ({', '.join(report)}) VALUES (:{', :'.join(report)})", report)


def _prune(database: sqlite3.Connection, made: str, keep_days: int) -> None:
    oldest = "strftime('%Y-%m-%dT%H:%M:%SZ', ?, ?)"
    bounds = (made, f"-{keep_days} days")
    database.execute(f"DELETE FROM episode WHERE gone < {oldest}", bounds)
    database.execute(
        f"DELETE FROM report WHERE made < {oldest} AND number NOT IN "
        f"(SELECT number FROM report WHERE NOT partial ORDER BY number DESC LIMIT {TREND})",
        bounds,
    )


def _move_aside(path: Path, made: str) -> Path:
    """Rename the damaged file. SQLite itself drops a journal that it finds without its file."""
    stem = f"{path.name}.broken-{made.replace('-', '').replace(':', '')}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    aside = next(place for name in names if not os.path.lexists(place := path.with_name(name)))
    os.rename(path, aside)
    return aside


def _findings(fleet: Fleet) -> Iterator[tuple[str, dict[str, str]]]:
    for finding in fleet.get("depot", []):
        yield CONTROL, finding
    for finding in between_of(fleet)["findings"]:
        yield FLEET, finding
    for node in fleet["nodes"]:
        for finding in node["findings"]:
            yield node["name"], finding


def _mention(node: str, finding: dict[str, str], made: str) -> dict[str, str]:
    values = {**finding, "node": node, "first_seen": made, "last_seen": made}
    return {name: _text(values[name]) for name in MENTIONED}


def _point(fleet: Fleet) -> dict[str, Any]:
    return {"made": fleet["made"], **{name: fleet["counts"][name] for name in COUNTS}}


def _in_order(fleet: Fleet, mentions: list[dict[str, str]]) -> list[dict[str, str]]:
    """By node, then in the order of the report's components; components that it left out come last."""
    places = {component: number for number, component in enumerate(fleet["components"])}

    def place(mention: dict[str, str]) -> tuple[str | int, ...]:
        component = mention["component"]
        number = places.get(component, len(places))
        return mention["node"], number, component, mention["name"], mention["subject"], mention["id"]

    return sorted(mentions, key=place)


def _text(value: str) -> str:
    """A tool's byte that is not UTF-8 arrives as half a character, which SQLite refuses."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")
