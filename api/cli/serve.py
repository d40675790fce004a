"""``python -m api serve``: answer requests and serve the web page."""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from api.app import create_app
from api.cli.database import add_database
from api.listening import listen, server_options
from api.middleware.observability import log_to_stderr
from api.middleware.tracing import export_spans
from api.pacs.address import credentials
from api.pacs.client import Pacs
from api.pacs.connection import PacsConnection
from api.pipeline.backends import Backend, BackendOptions, open_backend
from api.pipeline.current_index import reopening
from api.pipeline.decoding.processes import DecodingProcesses
from api.schemas.cases import OPENI
from api.settings import LOCAL_NAMES, Settings
from api.temporary_files import temporary_files
from db.app.database import AppDatabase
from db.engines.engine import exists
from db.engines.location import Location
from db.engines.presence import serving
from db.errors import MismatchError
from db.hosts import is_loopback
from db.index.published import PublishedVersion
from generator.engines.arguments import add_remote_model, remote_options
from generator.load import MODEL_HELP
from generator.vision_language import (
    NO_MODEL,
    DecodingOptions,
    default_model,
    why_no_default,
)
from indexer.cli.arguments import add_model_device, encoder_device
from indexer.cli.options import location
from indexer.manifest import Manifest
from indexer.versions import current_folder
from retriever.search import Retriever

logger = logging.getLogger(__name__)


def add_to(verbs: Any) -> None:
    """Register the verb."""
    verb: argparse.ArgumentParser = verbs.add_parser(
        "serve",
        help="answer requests and serve the web page",
        examples=["data/index", "data/index --port 8001"],
    )
    verb.add_argument("index", type=location, metavar="INDEX", help="an index: directory or URL")
    verb.add_argument(
        "--host",
        default="127.0.0.1",
        help="any address but loopback needs an API key (default: %(default)s)",
    )
    verb.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    verb.add_argument(
        "--model",
        metavar="MODEL",
        help=f"{MODEL_HELP}, or 'none' to compose reports from sentences of the hits and answer "
        "questions by rule (default: pretrained/generator where its weights are, otherwise none)",
    )
    verb.add_argument(
        "--adapter", metavar="DIR", help="an adapter directory made by finetune train"
    )
    add_remote_model(verb)
    add_model_device(verb)
    verb.add_argument(
        "--temperature",
        type=float,
        default=0.0,
        help="of sampling; 0 (the default) is greedy decoding",
    )
    verb.add_argument("--seed", type=int, default=0, help="of sampling (default: 0)")
    add_database(verb)
    verb.add_argument("--sample", type=Path, metavar="FILE", help="an image that the page offers")
    verb.add_argument(
        "--image-root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="also send images of cases from here; by default only from the folder that the index "
        "names ('indexer info' shows it)",
    )
    verb.add_argument("--require-keys", action="store_true", help="also on a loopback address")
    verb.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which the server may be called, besides localhost",
    )
    verb.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="address or network of a proxy in front: its X-Forwarded-For counts for the rate "
        "limit, and without keys no other proxy may pass on requests",
    )
    verb.add_argument(
        "--root-path",
        default="",
        metavar="PREFIX",
        help="prefix below which a proxy offers the service, such as /cxr",
    )
    verb.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin call the service, such as https://viewer.example.org",
    )
    verb.add_argument(
        "--public-images",
        nargs="?",
        const=OPENI,
        metavar="ORIGIN",
        help="let readers press for the public images of Open-I cases that are not on this "
        f"machine: their browsers load them from ORIGIN (default: {OPENI}), which then sees their "
        "address and the case; off unless this is given",
    )
    verb.add_argument(
        "--rate",
        type=int,
        default=600,
        help="requests per minute and key, or address (default: %(default)s)",
    )
    verb.add_argument(
        "--max-batch",
        type=int,
        help="studies in one batch (default: 8, or as many as the model decodes at once on a GPU)",
    )
    verb.add_argument(
        "--capacity",
        type=int,
        default=64,
        help="active and waiting requests; further ones get a 503 (default: %(default)s)",
    )
    verb.add_argument(
        "--pacs",
        metavar="URL",
        help="a DICOMweb service to search and fetch studies from, and to send a report back to "
        "when a request says so",
    )
    verb.add_argument(
        "--mcp",
        action="store_true",
        help="offer tools to agents at /mcp (Model Context Protocol; scripts/install mcp)",
    )
    verb.add_argument("--log-json", action="store_true", help="log JSON lines, requests included")
    verb.add_argument(
        "--otlp", metavar="URL", help="send OpenTelemetry traces to this OTLP/HTTP collector"
    )
    verb.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C. Raises UserError for what cannot be served."""
    settings = Settings(
        database_path=arguments.database,
        host=arguments.host,
        port=arguments.port,
        sample_path=arguments.sample,
        image_roots=tuple(root.absolute() for root in arguments.image_root),
        allowed_hosts=(*LOCAL_NAMES, *arguments.allow_host),
        require_keys=arguments.require_keys or _needs_keys(arguments),
        trusted_proxies=tuple(arguments.trusted_proxy),
        root_path=arguments.root_path.rstrip("/"),
        cors_origins=tuple(origin.lower().rstrip("/") for origin in arguments.cors_origin),
        public_images=arguments.public_images and arguments.public_images.lower().rstrip("/"),
        requests_per_minute=arguments.rate,
        capacity=arguments.capacity,
        mcp=arguments.mcp,
    )
    options = BackendOptions(
        model=arguments.model or default_model(),
        adapter=arguments.adapter,
        device=arguments.device,
        decoding=DecodingOptions(temperature=arguments.temperature, seed=arguments.seed),
        remote=remote_options(arguments),
    )
    may_fall_back = arguments.model is None and arguments.adapter is None
    pacs = None if arguments.pacs is None else _open_pacs(arguments.pacs)
    log_to_stderr(settings, as_json=arguments.log_json)
    with (
        listen(settings) as listener,
        _checked(arguments.index),
        serving(settings.database_path) as presence,
        temporary_files(settings.temporary_folder),
        DecodingProcesses(count=settings.workers) as decoding,
    ):
        decoding.start()  # while the index is read
        opened = partial(
            AppDatabase.open,
            settings.database_path,
            lock_timeout=settings.database_seconds,
            presence=presence,
        )
        database = opened() if exists(settings.database_path) else None
        retriever = Retriever.open(arguments.index, device=encoder_device(arguments.device))
        backend = _open_backend(retriever, options, may_fall_back=may_fall_back)
        if database is None:  # none is made where the model cannot be loaded
            database = opened()
        settings = replace(
            settings,
            max_batch=arguments.max_batch or settings.max_batch,
            max_written=arguments.max_batch or backend.batch_size,
        )
        with export_spans(arguments.otlp):
            app = create_app(
                settings,
                retriever=retriever,
                backend=backend,
                reopen=reopening(
                    arguments.index, backend.use, device=encoder_device(arguments.device)
                ),
                decoding=decoding,
                pacs=pacs,
                database=database,
            )
            logger.info("generator: %s", backend.description)
            manifest = retriever.index.manifest
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            keys = ", API keys required" if settings.require_keys else ""
            print(
                f"{manifest.studies} prior cases of {manifest.source}: "
                f"http://{host}:{settings.port}{keys} (stop with Ctrl+C)",
                flush=True,
            )
            config = uvicorn.Config(app, log_config=None, **server_options(settings))
            with suppress(KeyboardInterrupt):  # raised again by uvicorn after its orderly end
                uvicorn.Server(config).run(sockets=[listener])
    return 0


@contextmanager
def _checked(index: Location) -> Iterator[None]:
    """Raise UserError for what is no index, before any file is made."""
    if isinstance(index, Path):
        Manifest.read(current_folder(index))
    else:
        PublishedVersion.open(index).close()
    yield


def _open_backend(retriever: Retriever, options: BackendOptions, *, may_fall_back: bool) -> Backend:
    """Without a named model: the shipped one, or none where it is missing or does not fit."""
    if not may_fall_back:
        return open_backend(retriever, options)
    reason = why_no_default()
    if options.model != NO_MODEL:
        try:
            return open_backend(retriever, options)
        except MismatchError as error:
            reason = str(error)
    logger.warning("no language model (%s): extractive reports, answers by rule", reason)
    return open_backend(retriever, BackendOptions())


def _open_pacs(url: str) -> Pacs:
    return Pacs(PacsConnection(url, auth=credentials(url, os.environ)))


def _needs_keys(arguments: argparse.Namespace) -> bool:
    """Whether other machines can reach the address and an active API key exists."""
    if is_loopback(arguments.host) or not exists(arguments.database):
        return False
    with AppDatabase.open(arguments.database) as database:
        return database.keys.any_active()
