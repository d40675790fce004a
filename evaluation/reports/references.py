"""What outputs are scored against: the reports of the split, and the cases of the index.

references = References.read(source, Index.open(index_dir), outputs)
references.studies, references.cases["7"].indication
references.hits(row.context)                        # the cases that a row says were shown
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from db.errors import MismatchError, UserError
from db.index.store import Case
from evaluation.outputs.conditions import case_name
from evaluation.outputs.rows import Outputs
from evaluation.retrieval.studies import EvaluationStudy
from generator.context.build import Context
from indexer.index import Index
from indexer.ingest.studies import to_case
from indexer.sources.records import Source, StudyRecord
from retriever.case_filter import normalise_report
from retriever.results import Hit, Retrieval


@dataclass(frozen=True, kw_only=True)
class References:
    """Studies without their images: scoring looks at none."""

    studies: tuple[EvaluationStudy, ...]
    """Those that the outputs have, in the order of the source."""
    cases: Mapping[str, Case]
    """Each study as a case, by study id."""
    indexed: Mapping[str, Case]
    """Cases of the index as outputs name them: ``source/study_id``."""
    without: int
    """Studies of the split that have no image or no findings."""
    left: int
    """Studies of the split that the outputs lack."""

    @classmethod
    def read(cls, source: Source, index: Index, outputs: Outputs) -> Self:
        """Raises MismatchError for outputs of another index, source or split."""
        about, manifest = outputs.about, index.manifest
        for name, ours, there in (
            ("index", manifest.fingerprint, about.index_fingerprint),
            ("source", source.name, about.source),
            ("split", source.split, about.split),
        ):
            if ours != there:
                raise MismatchError(
                    f"{outputs.path} was made with {name} {there}, not {ours}: name that one"
                )
        indexed = {case_name(case): case for case in index.cases}
        known = {normalise_report(case.findings) for case in indexed.values()}
        records = list(source.records())
        cases = own_cases(source)
        studies = [
            EvaluationStudy(
                study_id=case.study_id,
                patient_id=case.patient_id,
                images=(),
                findings=case.findings,
                report=case.report,
                labels=case.labels,
                in_index=normalise_report(case.findings) in known,
            )
            for case in cases.values()
            if case.study_id in outputs.images
        ]
        if not studies:
            raise UserError(f"{outputs.path} has no study of split '{source.split}'")
        return cls(
            studies=tuple(studies),
            cases=cases,
            indexed=indexed,
            without=len(records) - len(cases),
            left=len(cases) - len(studies),
        )

    @property
    def patients(self) -> tuple[str | None, ...]:
        """The patient of each study."""
        return tuple(study.patient_id for study in self.studies)

    def hits(self, names: Sequence[str]) -> tuple[Hit, ...]:
        """Ranked from 1 in this order; the cosine is unknown and 0. Raises MismatchError."""
        try:
            cases = [self.indexed[name] for name in names]
        except KeyError as error:
            raise MismatchError(f"the index has no case {error}: name the index searched") from None
        return tuple(Hit(rank=rank, score=0.0, case=case) for rank, case in enumerate(cases, 1))

    def context(self, names: Sequence[str]) -> Context:
        """Of these cases; without their text and label scores."""
        return Context(hits=self.hits(names), image_findings=None, indication="", text="")

    def retrieval(self, outputs: Outputs, study_id: str) -> Retrieval:
        """The search of a study, without what it left out."""
        row = outputs.images[study_id]
        names = [name for name, _ in row.hits]
        found = zip(self.hits(names), row.hits, strict=True)
        return Retrieval(
            hits=tuple(replace(hit, score=score) for hit, (_, score) in found),
            index_fingerprint=outputs.about.index_fingerprint,
            source=outputs.about.source,
            images_sha256=(),
            label_scores=None if row.label_scores is None else dict(row.label_scores),
            label_thresholds=None if row.label_thresholds is None else dict(row.label_thresholds),
        )


def own_cases(source: Source) -> dict[str, Case]:
    """The studies of a source that have images and findings, by study id."""
    return {
        record.study_id: to_case(record, source.name, 0, images=())
        for record in source.records()
        if isinstance(record, StudyRecord) and record.images and record.findings
    }
