"""``remove``, ``merge``, ``upgrade`` and ``relocate``: verbs that change an index."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from db.app.erasure import erase
from db.engines.location import shown
from db.errors import UserError
from indexer.cli.output import Printed, merged_lines, relocated_lines, removed_lines
from indexer.cli.verbs.build import publish_options, vector_options
from indexer.erasure import find_remaining_files
from indexer.ingest.assembly import utc_now
from indexer.merge import merge
from indexer.published.publish import PublishOptions
from indexer.published.working_copy import local_indexes, working_copy
from indexer.relocate import relocate
from indexer.remove import RemovalTarget, find, remove
from indexer.upgrade import upgrade


def remove_cases(arguments: argparse.Namespace) -> Printed:
    target = RemovalTarget(
        patient_id=arguments.patient,
        study_ids=tuple(arguments.study or ()),
        source=arguments.source,
    )
    everywhere = arguments.everywhere or arguments.patient is not None
    if everywhere and arguments.db is None and not arguments.no_db:
        raise UserError(
            "name the application database with --db, or say --no-db where none quotes this index: "
            "once the studies are removed, their quotes can no longer be found"
        )
    options = PublishOptions(keep=1 if everywhere else arguments.keep)
    copy = working_copy(arguments.index, options, every_version=everywhere)
    with copy as index_dir:
        found = find(index_dir, target)
        withdrawn = None
        if arguments.db is not None:  # first, while the index still knows what to look for
            withdrawn = erase(arguments.db, found.cases, at=utc_now())
        removed = remove(index_dir, target, everywhere=everywhere, keep=arguments.keep)
    remaining = []
    if everywhere:
        here = [one for one in (arguments.index, arguments.db) if isinstance(one, Path)]
        folders = [one.absolute().parent for one in here if one == arguments.index]
        folders += map(Path, arguments.look_in)
        remaining = find_remaining_files(folders, found.cases, found.fingerprints, exclude=here)
    if arguments.json:
        parts = {
            "removed": asdict(removed),
            "withdrawn": None if withdrawn is None else asdict(withdrawn),
            "remaining_files": [asdict(file) for file in remaining],
        }
        return Printed([json.dumps(parts, indent=2, default=str)])
    return Printed(removed_lines(removed, target, withdrawn, remaining, everywhere=everywhere))


def merge_indexes(arguments: argparse.Namespace) -> Printed:
    options = vector_options(arguments)
    copy = working_copy(arguments.out, publish_options(arguments), empty=True)
    with local_indexes(arguments.indexes) as indexes, copy as out:
        merged = merge(indexes, out, options=options, keep=arguments.keep)
    if arguments.json:
        return Printed([json.dumps(asdict(merged), indent=2)])
    return Printed(merged_lines(merged, shown(arguments.out)))


def upgrade_index(arguments: argparse.Namespace) -> Printed:
    manifest = upgrade(arguments.index, keep=arguments.keep)
    if manifest is None:
        return Printed([f"{arguments.index} has the present format already"])
    return Printed([f"{arguments.index} has the present format as version {manifest.version}"])


def relocate_index(arguments: argparse.Namespace) -> Printed:
    relocated = relocate(arguments.index, arguments.root)
    if arguments.json:
        return Printed([json.dumps(asdict(relocated), indent=2, default=str)])
    return Printed(relocated_lines(relocated, arguments.index))
