"""python -m api: serve an index over HTTP.

python -m api serve INDEX --port 8000
"""

import argparse
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from api.app import create_app
from api.settings import DATABASE, Settings
from db.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _serve(arguments: argparse.Namespace) -> int:
    settings = Settings(
        database_path=arguments.database,
        host=arguments.host,
        port=arguments.port,
        sample_path=arguments.sample,
    )
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _listen(settings) as listener:
        # torch and faiss are imported only after everything cheap has been checked.
        from generator.extractive import write_report
        from retriever.search import Retriever

        retriever = Retriever.open(arguments.index)
        app = create_app(settings, retriever=retriever, write_report=write_report)
        manifest = retriever.index.manifest
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(
            f"{manifest.studies} prior cases of {manifest.source}: http://{host}:{settings.port} "
            "(stop with Ctrl+C)",
            flush=True,
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws="none", server_header=False
        )
        with suppress(KeyboardInterrupt):  # raised again by uvicorn after its orderly end
            uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(settings: Settings) -> socket.socket:
    """The bound port; a taken one is refused before the index is read."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UserError(
            f"port {settings.port} of {settings.host} cannot be used ({error.strerror}): "
            "stop the other program or name another with --port"
        ) from error
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api", description="The HTTP service.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("serve", help="answer requests and serve the web page")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--host", default="127.0.0.1", help="loopback only (default: %(default)s)")
    verb.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    verb.add_argument(
        "--database",
        type=Path,
        default=DATABASE,
        metavar="FILE",
        help="where reports are stored (default: %(default)s)",
    )
    verb.add_argument("--sample", type=Path, metavar="FILE", help="a film that the page offers")
    verb.set_defaults(run=_serve)
    return parser


if __name__ == "__main__":
    sys.exit(main())
