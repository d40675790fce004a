"""Search options as command line arguments.

add_search_arguments(parser, k=10)
options = search_options(parser.parse_args())
"""

import argparse
from collections.abc import Collection
from typing import Any, get_args

from retriever.options import Parameter, SearchOptions, parameters


def add_search_arguments(
    parser: argparse.ArgumentParser, *, only: Collection[str] | None = None, **defaults: Any
) -> None:
    """Add an argument for each option, or only for those in ``only``.

    ``defaults`` override those of `SearchOptions`, by the names of its fields.
    """
    for one in parameters():
        if only is None or one.option in only:
            _add(parser, one, defaults.get(one.option, one.default))


def search_options(arguments: argparse.Namespace) -> SearchOptions:
    """Return the parsed options. Raises UserError for a value that is out of range."""
    return SearchOptions.of(vars(arguments))


def _add(parser: argparse.ArgumentParser, one: Parameter, default: Any) -> None:
    flag = f"-{one.name}" if len(one.name) == 1 else f"--{one.name.replace('_', '-')}"
    if one.type is bool:
        parser.add_argument(flag, action="store_true", default=default, help=one.help)
    elif one.many:
        parser.add_argument(
            flag, action="append", default=[], metavar=one.metavar, help=f"{one.help}; repeatable"
        )
    elif choices := get_args(one.type):
        shown = "" if default is None else " (default: %(default)s)"
        parser.add_argument(flag, choices=choices, default=default, help=f"{one.help}{shown}")
    else:
        shown = "" if default is None else " (default: %(default)s)"
        parser.add_argument(
            flag, type=one.type, default=default, metavar=one.metavar, help=f"{one.help}{shown}"
        )
