"""``python -m api audit``, ``backup``, ``restore`` and ``db``: the application database."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.settings import DATABASE
from db.app.audit_log import Head
from db.app.backup import back_up, restore
from db.app.copying import copy_database
from db.app.database import AppDatabase
from db.engines.location import shown
from db.errors import UserError
from indexer.cli.options import location


def add_to(verbs: Any) -> None:
    """Register the verbs."""
    audit = verbs.add_parser(
        "audit", help="check the audit log", examples=["verify"]
    ).add_subparsers(required=True, metavar="VERB")
    verb = audit.add_parser(
        "verify", help="prove that the audit log was not changed", examples=["", "--head 12:0a1b2c"]
    )
    verb.add_argument("--head", metavar="NUMBER:HASH", help="as an earlier run printed it")
    add_database(verb)
    verb.set_defaults(run=_verify_audit)

    verb = verbs.add_parser(
        "backup",
        help="back up the application database, even while serving",
        examples=["backup.sqlite3"],
    )
    verb.add_argument("file", type=Path, metavar="FILE", help="the backup to write")
    add_database(verb)
    verb.set_defaults(run=_back_up)
    verb = verbs.add_parser(
        "restore",
        help="restore a backup; no server may be running",
        examples=["backup.sqlite3"],
    )
    verb.add_argument("file", type=Path, metavar="FILE", help="the backup to restore")
    add_database(verb)
    verb.set_defaults(run=_restore)

    places = verbs.add_parser(
        "db", help="move the application database", examples=["copy data/app.sqlite3 copy.sqlite3"]
    ).add_subparsers(required=True, metavar="VERB")
    verb = places.add_parser(
        "copy",
        help="copy it from SQLite to PostgreSQL or back; no server may be running",
        examples=["data/app.sqlite3 postgresql+psycopg://cxr@db.example/cxr"],
    )
    verb.add_argument("source", type=location, metavar="SOURCE", help="a SQLite file, or a URL")
    verb.add_argument(
        "target", type=location, metavar="TARGET", help="another one, missing or empty"
    )
    verb.set_defaults(run=_copy)


def add_database(verb: argparse.ArgumentParser) -> None:
    """Add the option that names it."""
    verb.add_argument(
        "--database",
        type=location,
        default=DATABASE,
        metavar="DATABASE",
        help="where reports are stored: a SQLite file, or a URL such as "
        "postgresql+psycopg://USER@HOST/NAME (default: %(default)s)",
    )


def _verify_audit(arguments: argparse.Namespace) -> int:
    known = None
    if arguments.head is not None:
        number, _, digest = arguments.head.partition(":")
        if not number.isdecimal() or not digest:
            raise UserError(
                f"'{arguments.head}' is not a head: give the NUMBER:HASH of an earlier run"
            )
        known = Head(number=int(number), hash=digest)
    with AppDatabase.open_existing(arguments.database) as opened:
        head = opened.audit.verify(known)
    print(f"audit log intact, head {head.number}:{head.hash}")
    return 0


def _back_up(arguments: argparse.Namespace) -> int:
    back_up(arguments.database, arguments.file)
    print(f"{shown(arguments.database)} copied to {arguments.file}")
    return 0


def _copy(arguments: argparse.Namespace) -> int:
    copied = copy_database(arguments.source, arguments.target)
    print(f"{shown(arguments.source)} copied to {shown(arguments.target)}, every row compared:")
    print(", ".join(f"{count} {table}" for table, count in copied.rows.items()))
    print(f"audit log intact, head {copied.head.number}:{copied.head.hash}")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    done = restore(arguments.file, arguments.database, at=datetime.now(UTC))
    print(f"{shown(arguments.database)} restored from {arguments.file}")
    if done.deleted:
        print(f"{done.deleted} generations that were deleted since are deleted again")
    if done.revoked:
        print(f"{done.revoked} API keys that were revoked since are revoked again")
    if done.erased:
        print("a patient was removed since the backup: repeat 'indexer remove' with --db")
    if done.kept is not None:
        print(f"the previous database is kept as {done.kept}: delete it when it is not needed")
    return 0
