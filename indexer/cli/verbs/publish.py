"""``publish`` and ``pull``: an index in PostgreSQL."""

import argparse

from db.engines.location import shown
from indexer.cli.output import Printed, served_lines
from indexer.published.publish import PublishOptions, publish, pull


def publish_index(arguments: argparse.Namespace) -> Printed:
    options = PublishOptions(
        keep=arguments.keep,
        min_recall=arguments.min_recall,
        replace_encoder=arguments.replace_encoder,
    )
    manifest = publish(arguments.index, arguments.url, options)
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
