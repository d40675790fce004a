"""An index, a split and a file of outputs to evaluate, from drawn images and invented reports."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from db.index.store import Case
from evaluation.outputs.names import CONDITIONS, IMAGE_FINDINGS_WITHHELD, TASKS
from evaluation.outputs.rows import Outputs, OutputsHeader
from evaluation.outputs.writer import OutputWriter
from evaluation.reports.references import References, own_cases
from evaluation.retrieval.studies import EvaluationStudy, read_studies
from generator.tasks import TaskRunner
from generator.vision_language import VisionLanguageModel
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies

INDEXED, HELD_OUT = 24, 12

ABOUT = OutputsHeader(
    source="local",
    split="val",
    index_fingerprint="",
    encoder="reports",
    encoder_sha256="2" * 64,
    labeller="rules-1",
    model="scripted",
    adapter=None,
    weights_sha256="5c" * 32,
    prompt_version="prompts-4",
    max_new_tokens=160,
)


def write_split(directory: Path) -> Path:
    """Studies to index, and as many of val as of test; every third report is worded anew."""
    path = write_studies(directory, INDEXED + 2 * HELD_OUT)
    lines = []
    for number, line in enumerate(map(json.loads, path.read_text().splitlines())):
        line["split"] = "train"
        line["indication"] = "Drawn to be tried."
        if number >= INDEXED:
            line["split"] = "val" if number < INDEXED + HELD_OUT else "test"
            if number % 3 == 2:
                line["findings"] += " The bones are intact."
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What an evaluation needs, but for the model."""

    source: JsonLines
    retriever: Retriever
    studies: list[EvaluationStudy]
    cases: dict[str, Case]

    @classmethod
    def make(cls, directory: Path) -> "Bench":
        path = write_split(directory)
        encoder = ReportEncoder({"Cardiomegaly": 0.8})
        build(JsonLines(path, split="train"), encoder, directory / "index")
        retriever = Retriever.open(directory / "index", encoder)
        source = JsonLines(path, split="val")
        studies, _ = read_studies(source, retriever)
        return cls(source=source, retriever=retriever, studies=studies, cases=own_cases(source))

    def open(self, path: Path) -> Outputs:
        fingerprint = self.retriever.index.manifest.fingerprint
        return Outputs.open(path, replace(ABOUT, index_fingerprint=fingerprint))

    def write(
        self, model: VisionLanguageModel, path: Path, *, tasks: tuple[str, ...] = TASKS
    ) -> Outputs:
        outputs = self.open(path)
        writer = OutputWriter(TaskRunner(self.retriever, model), outputs)
        writer.write(
            self.studies, self.cases, conditions=(*CONDITIONS, IMAGE_FINDINGS_WITHHELD), tasks=tasks
        )
        return outputs

    def references(self, outputs: Outputs) -> References:
        return References.read(self.source, self.retriever.index, outputs)
