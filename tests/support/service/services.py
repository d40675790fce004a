"""A service around invented cases: no encoder, no index, no data set."""

import atexit
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvicorn
from litestar import Litestar

from api.app import create_app
from api.listening import listen, server_options
from api.pacs.client import Pacs
from api.pipeline.backends import Backend, ExtractiveBackend
from api.pipeline.current_index import Reopen
from api.pipeline.decoding.processes import Decoding, DecodingProcesses
from api.settings import Settings
from db.app.database import AppDatabase
from db.app.generation import Citation, ExcludedCase, OodCheck, Statement
from db.engines.location import Location
from db.errors import UserError
from db.index.image_root import common_root
from db.index.store import Case, CaseImage, Sentence
from db.labels import OBSERVATIONS
from generator.grounding.report import GroundedReport
from indexer.images.radiograph import Radiograph
from indexer.images.reader import encode_png, read_radiograph
from retriever.knn_votes import Vote
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Hit, Retrieval
from tests.support.databases import Located, lay_out_tables
from tests.support.fakes import ReportEncoder
from tests.support.radiographs import draw_radiograph

DECODING = DecodingProcesses(count=2)
"""Of all tests of this process: to start one takes a second."""
atexit.register(DECODING.close)
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def a_case(
    number: int,
    *,
    study_id: str | None = None,
    source: str = "drawn",
    sentences: Sequence[str] = ("Lungs drawn clear.", "Heart drawn at its usual width."),
    images: Sequence[Path | None] = (None,),
) -> Case:
    return Case(
        case_id=number,
        source=source,
        study_id=study_id or f"s{number}",
        patient_id=f"p{number}",
        indication="Drawn for a test.",
        findings=" ".join(sentences),
        impression="A drawing without disease.",
        labels={"Cardiomegaly": "negative", "Lung Opacity": "uncertain"},
        sentences=(
            *(Sentence(section="findings", text=text) for text in sentences),
            Sentence(section="impression", text="A drawing without disease."),
        ),
        images=tuple(
            CaseImage(
                path=None if path is None else str(path),
                view_position="PA",
                width=420,
                height=512,
                pixels_sha256="",
                dhash=0,
            )
            for path in images
        ),
    )


@dataclass
class FakeCases:
    cases: list[Case]

    def find(self, source: str, study_id: str) -> Case | None:
        for case in self.cases:
            if (case.source, case.study_id) == (source, study_id):
                return case
        return None

    def studies_of(self, patient_id: str) -> list[Case]:
        return [case for case in self.cases if case.patient_id == patient_id]


def _folder_of_images(cases: Sequence[Case]) -> str | None:
    paths = [Path(image.path) for case in cases for image in case.images if image.path is not None]
    root = common_root(path.parent for path in paths if path.is_absolute())
    return None if root is None else str(root)


@dataclass
class FakeRetriever:
    """Every case is a hit, in the order given, with falling scores."""

    cases: list[Case]
    fingerprint: str = "f1" * 32
    error: Exception | None = None
    ood: OodCheck | None = None
    encoder: Any = field(default_factory=ReportEncoder)
    calls: list[dict[str, Any]] = field(default_factory=list)
    words: list[tuple[str | None, float]] = field(default_factory=list)
    voters: list[set[str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    refused_exclusions: tuple[str, ...] = ()
    image_root: str | None = None
    """By default the folder of all images, as a build records it."""

    @property
    def index(self) -> Any:
        return SimpleNamespace(
            manifest=SimpleNamespace(
                fingerprint=self.fingerprint,
                created_at="2026-05-01T00:00:00+00:00",
                source="drawn",
                split="train",
                studies=len(self.cases),
                encoder=SimpleNamespace(name="drawn-encoder"),
                labeller_version="drawn-labels-1",
                licence="the owner's",
                image_root=self.image_root or _folder_of_images(self.cases),
            ),
            cases=FakeCases(self.cases),
            check_files=lambda: None,
        )

    def check_exclusions(self, options: SearchOptions) -> None:
        """Refuse what `refused_exclusions` names."""
        for one in (*options.exclude_patient_ids, *options.exclude_study_ids):
            if one in self.refused_exclusions:
                raise UserError(f"no patient '{one}'")

    def find(self, query: Query, options: SearchOptions) -> Retrieval:
        return replace(self.search(query.images, options, text=None), views=query.views)

    def vote(self, query: Query, options: SearchOptions | None = None) -> dict[str, Vote]:
        """Two thirds for an opacity, with an interval; nothing else."""
        excluded = (options or SearchOptions()).exclude_study_ids
        self.voters.append({case.study_id for case in self.cases} - set(excluded))
        none = Vote(probability=0.0, low=0.0, high=0.25, supporting_ranks=())
        opacity = Vote(probability=0.66, low=0.5, high=0.75, supporting_ranks=(1,))
        return {name: opacity if name == "Lung Opacity" else none for name in OBSERVATIONS}

    def near_duplicates(self, query: Query) -> list[Case]:
        return []

    def search(
        self,
        images: Sequence[Path | str | bytes | Radiograph],
        options: SearchOptions,
        *,
        text: str | None,
    ) -> Retrieval:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        time.sleep(0.01)
        radiographs = [image for image in images if isinstance(image, Radiograph)]
        assert len(radiographs) == len(images)
        self.words.append((text, options.text_weight))
        self.calls.append(
            {name: value for name, value in asdict(options).items() if name != "text_weight"}
        )
        self.running -= 1
        if self.error is not None:
            raise self.error
        cases = [case for case in self.cases if case.study_id not in options.exclude_study_ids]
        return Retrieval(
            hits=tuple(
                Hit(
                    rank=rank,
                    score=0.96 - 0.04 * rank,
                    case=case,
                    matched_sentence=_saying(case, text),
                )
                for rank, case in enumerate(cases[: options.k], start=1)
            ),
            excluded_cases=(
                ExcludedCase(
                    source="drawn", study_id="s-copy", score=0.999, reason="the same image"
                ),
            ),
            index_fingerprint=self.fingerprint,
            source="drawn",
            images_sha256=tuple(radiograph.sha256 for radiograph in radiographs),
            notes=tuple(note for radiograph in radiographs for note in radiograph.notes),
            strategy=options.strategy or "similar",
            wanted_findings=("Lung Opacity",) if options.strategy == "findings" else (),
            label_scores={"Cardiomegaly": 0.125, "Lung Opacity": 0.75} if radiographs else None,
            ood=self.ood if radiographs else None,
        )


def _saying(case: Case, text: str | None) -> str | None:
    """The first sentence with the words of a text."""
    said = [one.text for one in case.sentences if text and text.lower() in one.text.lower()]
    return said[0] if said else None


def write_report(retrieval: Retrieval) -> GroundedReport:
    """Each of the first hits' first sentences with its citation, and one without any."""
    statements = [
        Statement(
            section="findings",
            text=hit.case.sentences[0].text,
            citations=(
                Citation(
                    number=hit.rank,
                    source=hit.case.source,
                    study_id=hit.case.study_id,
                    index_fingerprint=retrieval.index_fingerprint,
                    quote=hit.case.sentences[0].text,
                    score=hit.score,
                ),
            ),
            labels={"Lung Opacity": "negative"},
        )
        for hit in retrieval.hits[:3]
    ]
    return GroundedReport(
        statements=(*statements, Statement(section="impression", text="No case says this.")),
        hits=retrieval.hits,
        generator="drawn-1",
        index_fingerprint=retrieval.index_fingerprint,
        notes=("A note of the generator.",),
        label_scores=retrieval.label_scores,
    )


@cache
def a_png(seed: int = 1, **options: Any) -> bytes:
    return encode_png(draw_radiograph(seed, **options))


def a_digest(png: bytes) -> str:
    return read_radiograph(png).sha256


LOCATED: Located = lambda path: path  # noqa: E731
"""Set by the fixture `each_engine`."""


def database_at(tmp_path: Path) -> Location:
    """The application database of a test."""
    return LOCATED(tmp_path / "app.sqlite3")


def an_app(
    tmp_path: Path,
    retriever: FakeRetriever | None = None,
    backend: Backend | None = None,
    decoding: Decoding | None = None,
    pacs: Pacs | None = None,
    reopen: Reopen | None = None,
    database: AppDatabase | None = None,
    **settings: Any,
) -> Litestar:
    location = database_at(tmp_path)
    lay_out_tables(location)
    return create_app(
        Settings(database_path=location, **settings),
        retriever=retriever or FakeRetriever([a_case(n) for n in (1, 2, 3, 4)]),
        backend=backend or ExtractiveBackend(write_report),
        clock=lambda: NOW,
        decoding=decoding or DECODING,
        pacs=pacs,
        reopen=reopen,
        database=database,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(app: Litestar, **config: Any) -> Iterator[str]:
    """The address of the app, served as ``python -m api serve`` does while the block runs;
    ``config``: what is set otherwise in ``Settings``."""
    settings = Settings(port=free_port(), **config)
    options = server_options(settings)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **options))
    thread = threading.Thread(target=server.run, args=([listen(settings)],))
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{settings.port}"
    finally:
        server.should_exit = True
        thread.join()
