"""``audit``: look at a data set before it is used."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace

from db.errors import NotFoundError
from indexer.audit.result import audit_lines
from indexer.audit.run import audit, write_audit
from indexer.cli.output import Printed
from indexer.cli.progress import progress_bar
from indexer.cli.verbs.opening import encoder_named, opened
from indexer.index import Index
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.records import Record, Source


def audit_source(arguments: argparse.Namespace) -> Printed:
    options = options_of(arguments)
    source = opened(arguments.source, options)
    other: Source | Index | None = None
    if arguments.against is not None:
        try:
            other = Index.open(arguments.against)
        except NotFoundError:
            other = open_source(arguments.source, replace(options, data_dir=arguments.against))
    encoder = None
    if arguments.encoder != "none":
        encoder = encoder_named(arguments.encoder, arguments.device)
    found = audit(source, against=other, encoder=encoder, progress=_record_progress)
    write_audit(found, arguments.out)
    if arguments.json:
        return Printed([json.dumps(found.to_json(), indent=2)])
    return Printed(audit_lines(found, arguments.out))


def _record_progress(records: Iterable[Record]) -> Iterable[Record]:
    return progress_bar(records, unit="study")
