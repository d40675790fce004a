"""``publish`` and ``pull``: an index in PostgreSQL."""

import argparse

from db.engines.location import shown
from indexer.cli.output import Printed, served_lines
from indexer.cli.verbs.build import publish_options
from indexer.published.publish import publish, pull


def publish_index(arguments: argparse.Namespace) -> Printed:
    manifest = publish(arguments.index, arguments.url, publish_options(arguments))
    return Printed(
        [
            f"{manifest.studies} studies of {arguments.index} published as version "
            f"{manifest.version} in {shown(arguments.url)}",
            *served_lines(manifest),
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
