"""Options of every command that may use a model of another server."""

import argparse

from generator.engines.address import RemoteOptions


def add_remote_model(verb: argparse.ArgumentParser) -> None:
    """Add ``--allow-remote-model`` and ``--send-indication``."""
    verb.add_argument(
        "--allow-remote-model",
        action="store_true",
        help="a --model at openai+https://HOST may be on another machine: X-rays and the reports "
        "of similar cases are sent there",
    )
    verb.add_argument(
        "--send-indication",
        action="store_true",
        help="a --model at openai+http... may read the indication",
    )


def remote_options(arguments: argparse.Namespace) -> RemoteOptions:
    """What the options of `add_remote_model` allow."""
    return RemoteOptions(
        allow_remote=arguments.allow_remote_model, send_indication=arguments.send_indication
    )
