# SPDX-License-Identifier: Apache-2.0
"""What earlier drift reports found: when a finding was first seen, what is new, what is gone, and the trend.

One SQLite file beside the reports. A finding has episodes: one is open from the report that sees it first to the one
that no longer does. Reports count in the order in which they were added, whatever the clock says.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.ascend_control.drift.findings import CONTROL

Fleet = dict[str, Any]

VERSION = 1  # PRAGMA user_version; goes up when the tables change
BUSY_S = 5.0  # the wait for another process
KEEP_DAYS = 400
TREND = 30
COUNTS = ("nodes", "clean", "drifted", "unchecked", "findings")
MENTIONED = ("node", "id", "component", "level", "name", "subject", "problem", "first_seen", "last_seen")
# "sum" is the CRC-32 of the columns before it: SQLite itself does not see a wrong byte in a value.
TABLES = {
    "report": "CREATE TABLE report (number INTEGER PRIMARY KEY, made TEXT, partial INTEGER, nodes INTEGER, "
    "clean INTEGER, drifted INTEGER, unchecked INTEGER, findings INTEGER, sum INTEGER)",
    "episode": "CREATE TABLE episode (number INTEGER PRIMARY KEY, node TEXT, id TEXT, component TEXT, level TEXT, "
    "name TEXT, subject TEXT, problem TEXT, first_seen TEXT, last_seen TEXT, sum INTEGER, gone TEXT)",
    "open_episode": "CREATE UNIQUE INDEX open_episode ON episode (id) WHERE gone IS NULL",
}
# SQLite says these as OperationalError, as it does for what the machine lacks; Python 3.10 gives no code.
DAMAGE = ("malformed", "unsupported file format", "no such table", "no such column")
UNKNOWN = "what is new, gone or still there is not known in this report"


class _DamagedError(Exception):
    """The file is no history any more."""


class _UnusableError(Exception):
    """The history cannot be used, and is left as it is: why, and what to do."""


class _Open(NamedTuple):
    """A finding that the last report which looked at it held."""

    number: int
    mention: dict[str, str]


class _Compared(NamedTuple):
    """What a report is beside the history."""

    since: str | None
    first_seen: dict[str, str]  # id -> time, of the findings that were there before
    new: list[dict[str, str]]
    gone: list[dict[str, str]]
    trend: list[dict[str, Any]]


def update(path: Path, fleet: Fleet, keep_days: int = KEEP_DAYS) -> None:
    """Add ``fleet`` to the history at ``path``; fill in its findings' first_seen and status, changes, trend, history.

    A report is never lost because of its history, and nothing is raised for it: fleet["history"] says what is wrong
    and what to do. Then every finding is new, first seen now, changes are empty and since nothing. A damaged file is
    moved aside, to <path>.broken-<UTC>, and a new one is begun. What is older than ``keep_days`` goes, except open
    findings and the reports of the trend.
    """
    try:
        try:
            compared, note = _add(path, fleet, keep_days), None
        except _DamagedError as damage:
            aside = _move_aside(path, fleet["made"])
            compared = _add(path, fleet, keep_days)
            note = f"{path} was damaged ({damage}). It is now {aside.name}; a new history begins: every finding is new."
    except (_UnusableError, _DamagedError) as reason:
        compared, note = _alone(fleet), f"{path} {reason}"
    except OSError as error:
        compared, note = (
            _alone(fleet),
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


def _alone(fleet: Fleet) -> _Compared:
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
            database.execute("BEGIN EXCLUSIVE")
            _ready(database)
            since = database.execute("SELECT made FROM report ORDER BY number DESC LIMIT 1").fetchone()
            known = _open_episodes(database)
            found = {finding["id"]: _mention(node, finding, fleet["made"]) for node, finding in _findings(fleet)}
            gone = [known[key] for key in _gone(fleet, known, found)]
            _store(database, fleet, known, found, gone)
            _prune(database, fleet["made"], keep_days)
            trend = _trend(database)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise _judged(path, error) from error
    return _Compared(
        since=since[0] if since else None,
        first_seen={key: known[key].mention["first_seen"] for key in found.keys() & known.keys()},
        new=_in_order(fleet, [mention for key, mention in found.items() if key not in known]),
        gone=_in_order(fleet, [episode.mention for episode in gone]),
        trend=trend,
    )


def _judged(path: Path, error: sqlite3.Error) -> _DamagedError | _UnusableError:
    """Tell damage, which stays, from what the machine lacks, which passes."""
    words = str(error)
    if not isinstance(error, sqlite3.OperationalError) or any(damage in words for damage in DAMAGE):
        return _DamagedError(words)
    if "locked" in words:
        return _UnusableError(f"is held by another process: {UNKNOWN}. Next: fuser -v {path}")
    if "full" in words:
        return _UnusableError(f"cannot be written, the disk is full: {UNKNOWN}. Next: df -h {path.parent}")
    return _UnusableError(
        f"cannot be used ({words}): {UNKNOWN}. Next: ls -ld {path.parent} {path}; df -h {path.parent}"
    )


def _ready(database: sqlite3.Connection) -> None:
    """Begin an empty file; prove that another one is sound and ours."""
    tables = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if not tables and not version:
        for statement in TABLES.values():
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")
        return
    if version > VERSION:
        raise _UnusableError(
            f"is of a later ascend-fleet (format {version}, this one knows {VERSION}): {UNKNOWN}. "
            "Next: use that ascend-fleet, or move the file away"
        )
    problem = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise _DamagedError(" ".join(str(problem).split()))
    if version != VERSION or tables != TABLES:
        raise _DamagedError("its tables are others")


def _open_episodes(database: sqlite3.Connection) -> dict[str, _Open]:
    rows = database.execute(f"SELECT number, {', '.join(MENTIONED)}, sum FROM episode WHERE gone IS NULL")
    return {row[2]: _Open(row[0], dict(zip(MENTIONED, _sound(row[1:]), strict=True))) for row in rows}


def _trend(database: sqlite3.Connection) -> list[dict[str, Any]]:
    names = ("made", "partial", *COUNTS)
    newest = f"SELECT {', '.join(names)}, sum FROM report WHERE NOT partial ORDER BY number DESC LIMIT {TREND}"
    points = [dict(zip(names, _sound(row), strict=True)) for row in reversed(database.execute(newest).fetchall())]
    return [{name: point[name] for name in names if name != "partial"} for point in points]


def _gone(fleet: Fleet, known: dict[str, _Open], found: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield the ids that are open, are not found, and would have been."""
    nodes = {_text(node["name"]): node for node in fleet["nodes"]}
    for key, episode in known.items():
        node, component = nodes.get(episode.mention["node"]), episode.mention["component"]
        if key in found:
            continue
        if node is None:
            # The whole inventory was looked at, and the node is no longer in it.
            looked = fleet["limit"] is None
        else:
            looked = component in fleet["components"] and node["components"].get(component, "unknown") != "unknown"
            # Of a node that could not be checked nothing is known but why.
            looked = looked and (node["state"] != "unchecked" or component == "access")
        if looked:
            yield key


def _store(
    database: sqlite3.Connection,
    fleet: Fleet,
    known: dict[str, _Open],
    found: dict[str, dict[str, str]],
    gone: list[_Open],
) -> None:
    new, still = [], []
    for key, mention in found.items():
        if key not in known:
            new.append(_row([mention[name] for name in MENTIONED]))
            continue
        values = [{**mention, "first_seen": known[key].mention["first_seen"]}[name] for name in MENTIONED]
        still.append([*_row(values), known[key].number])
    columns = ", ".join((*MENTIONED, "sum"))
    marks = ", ".join("?" * (len(MENTIONED) + 1))
    database.executemany(f"INSERT INTO episode ({columns}) VALUES ({marks})", new)
    database.executemany(f"UPDATE episode SET ({columns}) = ({marks}) WHERE number = ?", still)
    database.executemany(
        "UPDATE episode SET gone = ? WHERE number = ?", [(fleet["made"], episode.number) for episode in gone]
    )
    counts = [fleet["counts"][name] for name in COUNTS]
    database.execute(
        f"INSERT INTO report (made, partial, {', '.join(COUNTS)}, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        _row([fleet["made"], int(fleet["partial"]), *counts]),
    )


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
    """Rename the damaged file. A journal beside it is SQLite's: it drops one that it finds without its file."""
    stem = f"{path.name}.broken-{made.replace('-', '').replace(':', '')}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    aside = next(place for name in names if not os.path.lexists(place := path.with_name(name)))
    os.rename(path, aside)
    return aside


def _findings(fleet: Fleet) -> Iterator[tuple[str, dict[str, str]]]:
    for finding in fleet.get("depot", []):
        yield CONTROL, finding
    for node in fleet["nodes"]:
        for finding in node["findings"]:
            yield node["name"], finding


def _mention(node: str, finding: dict[str, str], made: str) -> dict[str, str]:
    values = {**finding, "node": node, "first_seen": made, "last_seen": made}
    return {name: _text(values[name]) for name in MENTIONED}


def _point(fleet: Fleet) -> dict[str, Any]:
    return {"made": fleet["made"], **{name: fleet["counts"][name] for name in COUNTS}}


def _in_order(fleet: Fleet, mentions: list[dict[str, str]]) -> list[dict[str, str]]:
    """By node, then as the components of the report; components that it left out come last."""
    places = {component: number for number, component in enumerate(fleet["components"])}

    def place(mention: dict[str, str]) -> tuple[str | int, ...]:
        component = mention["component"]
        number = places.get(component, len(places))
        return mention["node"], number, component, mention["name"], mention["subject"], mention["id"]

    return sorted(mentions, key=place)


def _text(value: str) -> str:
    """A tool's byte that is no UTF-8 comes as half a character, which SQLite does not take."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _row(values: list[Any]) -> list[Any]:
    return [*values, zlib.crc32(json.dumps(values).encode())]


def _sound(row: tuple[Any, ...]) -> list[Any]:
    """Return the values of a row without their sum, which must be right."""
    values = list(row[:-1])
    if any(isinstance(value, bytes) for value in values) or _row(values)[-1] != row[-1]:
        raise _DamagedError("a row is not what was written")
    return values
