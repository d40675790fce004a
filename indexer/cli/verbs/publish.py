"""``publish`` and ``pull``: an index in PostgreSQL."""

import argparse

from db.engines.location import shown
from indexer.cli.output import Printed
from indexer.published import publish, pull


def publish_index(arguments: argparse.Namespace) -> Printed:
    done = publish(
        arguments.index, arguments.url, keep=arguments.keep, min_recall=arguments.min_recall
    )
    manifest = done.manifest
    how = "searched exactly"
    if done.recall is not None:
        how = f"searched by HNSW, recall {done.recall:.3f}; exactly where filters leave few cases"
    return Printed(
        [
            f"{manifest.studies} studies of {arguments.index} published as version "
            f"{manifest.version} in {shown(arguments.url)}",
            f"  {how}",
        ]
    )


def pull_index(arguments: argparse.Namespace) -> Printed:
    manifest = pull(arguments.url, arguments.index, keep=arguments.keep)
    return Printed(
        [
            f"{manifest.studies} studies of {shown(arguments.url)} written to {arguments.index} as "
            f"version {manifest.version}"
        ]
    )
