"""A service for the page: four drawn cases, and a writer whose texts have every mark there is."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from litestar import Litestar
from pydicom.uid import generate_uid
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from api.app import create_app
from api.pacs.client import Pacs
from api.pipeline.backends import BackendRequest, ExtractiveBackend, Output, Token
from api.settings import Settings
from db.app.generation import Citation, OodCheck, Origin, RemovedCitation, Statement
from db.app.observations import Observation, ObservationState
from db.index.store import Section
from db.labels import OBSERVATIONS
from generator.assessment.assess import Assessment
from generator.grounding.report import GroundedReport
from generator.prompts import Task
from indexer.images.reader import encode_png
from retriever.results import Retrieval
from tests.support.databases import lay_out_tables
from tests.support.dicoms import write_dicom
from tests.support.page.browser import Browser
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import DECODING, FakeRetriever, a_case, a_png

NASTY = "<script>document.title='broken in'</script><img src=x onerror=\"document.title='in'\">"
QUESTION = "Is the heart drawn wide?"
OUT_OF_DISTRIBUTION = OodCheck(
    in_distribution=False, score=-8.1, threshold=-3.2, reason="drawn sideways"
)
WORDS = ("Findings: Lungs ", "drawn clear. ", "[1]")


@dataclass(frozen=True)
class Images:
    """Files to give to the page."""

    pa: Path
    lateral: Path
    dicom: Path
    text: Path
    nasty: Path
    """An image whose name is HTML."""
    case: Path


def draw_radiographs(folder: Path) -> Images:
    def write(name: str, data: bytes) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return Images(
        pa=write("pa.png", a_png(1)),
        lateral=write("lateral.png", encode_png(draw_radiograph(1, view="LATERAL"))),
        dicom=write_dicom(
            folder / "image.dcm",
            draw_radiograph(2),
            PatientName="Drawn^Person",
            ImagerPixelSpacing=[0.5, 0.5],
            WindowCenter=[128, 200],
            WindowWidth=[256, 40],
            WindowCenterWidthExplanation=["NORMAL", "HARDER"],
            StudyInstanceUID=generate_uid(),
        ),
        text=write("text.png", b"no image at all"),
        nasty=write("<img src=x onerror=alert(1)>.png", a_png(3)),
        case=write("case.png", a_png(7)),
    )


def drawn_cases(images: Images) -> FakeRetriever:
    return FakeRetriever(
        [
            a_case(1, study_id="one", images=[images.case, images.lateral]),
            a_case(
                2,
                study_id="a/b ü",
                sentences=("Costal angles drawn sharp.", NASTY),
                images=[images.case],
            ),
            a_case(3, study_id="three", sentences=(NASTY, "Lungs drawn wide.")),
            a_case(4, study_id="77", source="openi"),
        ]
    )


class MarkingWriter(ExtractiveBackend):
    """Streams a few words; ``go`` cleared holds it before its last one."""

    def __init__(self, tasks: tuple[Task, ...] = ("report", "ask", "classify", "caption")) -> None:
        super().__init__(marked_report)
        self.tasks = tasks
        self.go = threading.Event()
        self.go.set()
        self.cancelled = 0

    def describe(self, origin: Origin) -> Origin:
        return replace(origin, model="drawn-model", adapter="drawn-adapter", prompt_version="p-1")

    def write(self, writings: Sequence[BackendRequest]) -> Iterator[tuple[int, Output]]:
        for place, writing in enumerate(writings):
            if writing.request.task != "classify":
                for word in WORDS:
                    yield place, Token(text=word)
            while not self.go.wait(0.01):
                if writing.cancelled():
                    self.cancelled += 1
                    break
            yield place, self._made(writing)

    def _made(self, writing: BackendRequest) -> Output:
        if writing.request.task == "ask":
            report = marked_report(writing.retrieval)
            (first, *_) = report.statements
            answer = replace(first, section="impression", text=f"No: {writing.request.question}")
            return replace(report, statements=(answer,))
        report = self._write(writing)
        if writing.request.task == "report":
            return replace(report, assessment=drawn_assessment())
        return report


def marked_report(retrieval: Retrieval) -> GroundedReport:
    """One statement of each kind that the page tells apart."""

    def cited(number: int, section: Section = "findings", **marks: Any) -> Statement:
        hit = next(hit for hit in retrieval.hits if hit.rank == number)
        quote = hit.case.sentences[0].text
        citation = Citation(
            number=number,
            source=hit.case.source,
            study_id=hit.case.study_id,
            index_fingerprint=retrieval.index_fingerprint,
            quote=quote,
            score=hit.score,
        )
        return Statement(section=section, text=quote, citations=(citation,), **marks)

    removed = RemovedCitation(number=4, reason="case 4 says right, not left (pleural effusion)")
    return GroundedReport(
        statements=(
            cited(
                1,
                labels={"Lung Opacity": "negative"},
                case_support=1.0,
                image_support=0.83,
                added_by_rule=True,
            ),
            cited(
                2,
                labels={"Lung Opacity": "positive"},
                citations_added=True,
                case_support=0.62,
                removed_citations=(removed,),
            ),
            cited(3, contradiction="classifier score for Edema is 0.81", image_support=0.19),
            Statement(section="impression", text="No case says this."),
        ),
        hits=retrieval.hits,
        generator="drawn-1",
        index_fingerprint=retrieval.index_fingerprint,
        notes=("A note of the generator.",),
        label_scores=retrieval.label_scores,
    )


def drawn_assessment() -> Assessment:
    """One observation of each state; the rest are absent."""
    states: dict[str, ObservationState] = {
        "Lung Opacity": "present",
        "Edema": "possible",
        "Cardiomegaly": "not assessable",
    }
    return Assessment(
        observations=tuple(
            Observation(
                name=name,
                probability=0.66 if name in states else 0.02,
                low=0.01,
                high=0.75,
                state=states.get(name, "absent"),
                language_model=None,
                knn=0.66 if name in states else 0.0,
                knn_low=0.0,
                knn_high=0.75,
                label_head=0.75,
                cases=(1,) if name in states else (),
            )
            for name in OBSERVATIONS
        ),
        sensitivity="balanced",
        calibrated_on=None,
    )


def a_page(
    folder: Path,
    retriever: FakeRetriever,
    writer: MarkingWriter,
    *,
    pacs: Pacs | None = None,
    **settings: Any,
) -> Litestar:
    """The application, its database in ``folder``."""
    database = folder / "app.sqlite3"
    lay_out_tables(database)
    return create_app(
        Settings(database_path=database, **settings),
        retriever=retriever,
        backend=writer,
        decoding=DECODING,
        pacs=pacs,
    )


def written(browser: Browser, address: str, images: Images) -> Browser:
    """The browser with a report on two views."""
    browser.greeted(address)
    browser.choose(images.pa, images.lateral)
    browser.write_report()
    return browser


def found_by_words(browser: Browser, address: str, words: str) -> WebElement:
    """The list of cases that words find without an image."""
    browser.greeted(address)
    browser.press("#words summary")
    browser.wait("#text").send_keys(words)
    browser.press("#words-form button")
    return browser.wait(".hits")


def chip(browser: Browser, statement: int) -> WebElement:
    """The first number of a statement, once that is there."""
    lines = browser.until(lambda: browser.all(".statement"), "no statement")
    return lines[statement].find_element(By.CSS_SELECTOR, ".chip")


def press_chip(browser: Browser, statement: int) -> WebElement:
    found = chip(browser, statement)
    browser.script("arguments[0].scrollIntoView({block: 'center'})", found)
    found.click()
    return found
