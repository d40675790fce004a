"""``python -m api keys``: create, list and revoke API keys."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from api.cli.database import add_database
from db.app.api_keys import SCOPES
from db.app.database import AppDatabase


def add_to(verbs: Any) -> None:
    """Register the verbs."""
    keys = verbs.add_parser("keys", help="manage API keys", examples=["list"]).add_subparsers(
        required=True, metavar="VERB"
    )
    verb = keys.add_parser(
        "add", help="create a key and print it once", examples=["ward --scope read"]
    )
    verb.add_argument("name", metavar="NAME", help="name of the key")
    verb.add_argument("--scope", action="append", choices=SCOPES, help="default: read, generate")
    add_database(verb)
    verb.set_defaults(run=_add_key)
    verb = keys.add_parser("list", help="names, scopes and state of all keys", examples=[""])
    add_database(verb)
    verb.set_defaults(run=_list_keys)
    verb = keys.add_parser("revoke", help="revoke a key", examples=["ward"])
    verb.add_argument("name", metavar="NAME", help="name of the key")
    add_database(verb)
    verb.set_defaults(run=_revoke_key)


def _add_key(arguments: argparse.Namespace) -> int:
    with AppDatabase.open(arguments.database) as database:
        key = database.keys.add(
            arguments.name, arguments.scope or ["read", "generate"], at=datetime.now(UTC)
        )
    print(key)
    print("This key is not shown again; only its hash is stored.", file=sys.stderr)
    return 0


def _list_keys(arguments: argparse.Namespace) -> int:
    with AppDatabase.open_existing(arguments.database) as database:
        for key in database.keys.list_all():
            state = "active" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d}"
            scopes = " ".join(sorted(key.scopes))
            print(f"{key.name}\t{scopes}\tcreated {key.created_at:%Y-%m-%d}\t{state}")
    return 0


def _revoke_key(arguments: argparse.Namespace) -> int:
    with AppDatabase.open_existing(arguments.database) as database:
        database.keys.revoke(arguments.name, at=datetime.now(UTC))
    print(f"API key '{arguments.name}' revoked")
    return 0
