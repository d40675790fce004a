"""From the images of one study, or a text, to the most similar prior cases.

retriever = Retriever.open("data/index")
retrieval = retriever.search(["pa.dcm", "lateral.dcm"], k=5, exclude_patient_ids=["p17"])
retrieval.hits[0].case.findings
retriever.search(text="small left pleural effusion").hits
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np

from db.app.generation import OodCheck
from db.engines.location import Location, parse_location
from db.errors import UserError
from db.index.selection import (
    LabelRule,
    Selection,
    names_all,
    names_any,
    names_only,
    pack_states,
)
from db.index.store import STATE_CODES, Case
from db.labels import FINDINGS, OBSERVATIONS
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Radiograph
from indexer.images.reader import difference_hash
from indexer.index import Index
from indexer.published.opening import open_index
from retriever.case_filter import CaseFilter
from retriever.exclusions import check_exclusions
from retriever.knn_votes import TEMPERATURE, Vote, weighted_votes
from retriever.near_duplicates import NearDuplicateFinder
from retriever.ood import check_ood
from retriever.options import SearchOptions
from retriever.query import ImageSource, Query, image_query, read_query
from retriever.ranking.finding_wise import FindingRanking, FindingWiseSearch, finding_likelihoods
from retriever.ranking.nearest import NearestSearch
from retriever.ranking.word_search import WordSearch
from retriever.ranking.words import read_asks
from retriever.results import Hit, Retrieval
from retriever.selected import open_selective

K_VOTES = 500
"""Number of cases that vote in `Retriever.vote`. On the val studies of Open-I with ImageNet
features, mean label AUC was .63 with 20 cases, .66 with 50, .69 with 100 or 200 and .73 with 500 or
more."""

_CACHE_SIZE = 4_096
"""Number of cases cached in memory; each takes a few kilobytes."""


@dataclass(frozen=True, kw_only=True)
class _ImageChecks:
    """What the images of one query are, beside the index."""

    duplicates: Mapping[int, str]
    """Case to how it duplicates one of the images."""
    ood: OodCheck | None


class Retriever:
    """An open index, with the encoder that it was built with."""

    def __init__(self, index: Index, encoder: Encoder) -> None:
        """Raises MismatchError if index and encoder do not belong together."""
        index.require(encoder)
        self.index = index
        self.encoder = encoder
        self._cache: dict[int, Case] = {}
        self._checks: WeakKeyDictionary[Query, _ImageChecks] = WeakKeyDictionary()
        self._duplicates = NearDuplicateFinder(index)
        self._profile = index.read_profile()
        self._case_ids, states = index.cases.state_table()  # (cases,), (cases, 14)
        self._positives = states >= STATE_CODES["uncertain"]
        self._findings = self._positives[:, [OBSERVATIONS.index(name) for name in FINDINGS]]
        self._vectors = open_selective(index, self._case_ids, pack_states(states))
        self._finding_wise = FindingWiseSearch(
            self._vectors, self._case_ids, self._findings, self._cases
        )
        self._nearest = NearestSearch(self._vectors, self._cases)
        self._word_search = WordSearch(self._vectors, self._cases)

    def __repr__(self) -> str:
        manifest = self.index.manifest
        return f"Retriever({manifest.source}, {manifest.studies} cases, {manifest.encoder.name})"

    @classmethod
    def open(
        cls, index_dir: Location | str, encoder: Encoder | None = None, *, device: str = "cpu"
    ) -> Self:
        """Open an index, by default with the encoder named in its manifest.

        ``index_dir`` is a directory, or the URL of a database that it was published in.

        ``device`` is where that encoder runs: ``cpu`` or ``cuda``.
        """
        index = open_index(parse_location(index_dir) if isinstance(index_dir, str) else index_dir)
        try:
            return cls(index, encoder or load_encoder(index.manifest.encoder.name, device=device))
        except BaseException:
            index.close()
            raise

    def search(
        self,
        images: ImageSource | Sequence[ImageSource] = (),
        options: SearchOptions | None = None,
        *,
        text: str | None = None,
        **overrides: Any,
    ) -> Retrieval:
        """Find the most similar cases for the views of one study, a text, or both.

        An image is a path, the bytes of a file, a PIL image or an array (height, width) of grey or
        (height, width, 3) of colour; several are views of one study. ``overrides`` change single
        fields of ``options``, as in ``search("pa.png", k=5)``.

        Raises UserError for neither image nor text, an image that cannot be read, images of two
        patients, a text where the encoder cannot embed one, an exclusion that matches no case, or
        an option out of range. Raises UnavailableError if a file of the index was cut short.
        """
        options = replace(options or SearchOptions(), **overrides)
        self.check_exclusions(options)
        query = read_query(
            self.encoder,
            images,
            text=text,
            text_weight=options.text_weight,
            limits=options.limits,
        )
        return self.find(query, options)

    def check_exclusions(self, options: SearchOptions) -> None:
        """Raise UserError for a patient or study to exclude that is not in the index."""
        check_exclusions(self.index.cases, options)

    def find(self, query: Query, options: SearchOptions) -> Retrieval:
        """Find the hits for an embedded query, best first.

        There are fewer than ``k`` if fewer pass the options. Cases of excluded patients or studies
        never appear; near duplicates and repeated reports are listed in ``excluded_cases``.
        """
        notes = [note for image in query.images for note in image.notes]
        duplicates = self._image_checks(query).duplicates if options.exclude_near_duplicates else {}
        case_filter = CaseFilter(options, duplicates)
        selection = replace(_excluding(options), labels=self._label_rules(query, options))
        ranking = None
        if options.strategy == "findings":
            ranking = self._finding_ranking(query, options)
            pool = self._finding_wise.pool(query, options, ranking, selection)
            kept = self._finding_wise.choose(pool, options.k, ranking, case_filter)
        elif asks := read_asks(query.text or ""):
            found = self._word_search.candidates(query, asks, options, selection)
            kept = self._nearest.admitted(found, options, case_filter)
            if kept and not any(one.sentence for one in kept):
                notes.append("no case says what the text asks for: these are the nearest others")
        else:
            near = self._nearest.candidates(query, options, selection)
            kept = self._nearest.admitted(near, options, case_filter)
        if not kept and options.label_filter != "none":
            notes.append(f"no case passes the label filter '{options.label_filter}'")
        return Retrieval(
            hits=tuple(
                Hit(
                    rank=rank,
                    score=candidate.score,
                    case=candidate.case,
                    matched_sentence=candidate.sentence,
                )
                for rank, candidate in enumerate(kept, start=1)
            ),
            excluded_cases=tuple(case_filter.excluded_cases),
            strategy=options.strategy or "similar",
            finding_likelihoods=None if ranking is None else dict(ranking.likelihoods),
            wanted_findings=() if ranking is None else ranking.wanted,
            index_fingerprint=self.index.manifest.fingerprint,
            source=self.index.manifest.source,
            images_sha256=tuple(image.sha256 for image in query.images),
            notes=tuple(notes),
            label_scores=None if query.label_scores is None else dict(query.label_scores),
            label_thresholds=None if query.label_scores is None else dict(query.thresholds),
            views=query.views,
            ood=self._image_checks(query).ood,
        )

    def _finding_ranking(self, query: Query, options: SearchOptions) -> FindingRanking:
        """Read the likelihoods of the findings from the query, once for a search.

        Raises UserError for a query with a text, which says itself what is wanted.
        """
        if query.text is not None:
            raise UserError(
                "the strategy 'findings' reads the findings from the image, and a text names them "
                "itself: leave out the text or the strategy"
            )
        likelihoods = finding_likelihoods(self.vote(query, options), query.label_scores)
        return FindingRanking(likelihoods, self._findings.mean(axis=0))

    def vote(
        self,
        query: Query,
        options: SearchOptions | None = None,
        *,
        k: int = K_VOTES,
        temperature: float = TEMPERATURE,
    ) -> dict[str, Vote]:
        """Classify labels by the votes of the ``k`` nearest cases.

        What ``options`` excludes does not vote: patients, studies and, by default, near duplicates
        of the images, so the report of an indexed study never votes on the study itself. No report
        is read, and cases with the same report all vote.
        """
        options = options or SearchOptions()
        selection = _excluding(options)
        if options.exclude_near_duplicates:
            duplicates = frozenset(self._image_checks(query).duplicates)
            selection = replace(selection, without_cases=duplicates)
        ids, scores = self._vectors.select(query.vector, k, selection)
        rows = np.searchsorted(self._case_ids, ids)
        ranks = range(1, len(rows) + 1)
        return weighted_votes(scores, self._positives[rows], ranks, temperature=temperature)

    def _image_checks(self, query: Query) -> "_ImageChecks":
        """Compare the images of a query with the index, once however many searches follow."""
        found = self._checks.get(query)
        if found is None:
            with ThreadPoolExecutor(1) as beside:  # large images take tens of milliseconds
                ood = beside.submit(check_ood, query, self.index, self._profile)
                duplicates = self._duplicates.find(query)
            found = _ImageChecks(duplicates=duplicates, ood=ood.result())
            self._checks[query] = found
        return found

    def duplicates(self, images: Sequence[Radiograph]) -> dict[int, str]:
        """Map ids of cases that hold one of the images, or a near duplicate, to what they hold.

        Only images that some case resembles are embedded.
        """
        cases = self.index.cases.ids_with_pixels([image.sha256 for image in images])
        found = dict.fromkeys(cases, "the same image")
        alike = [one for one in images if self._duplicates.resembles(difference_hash(one.pixels))]
        if alike:
            found = self._duplicates.find(image_query(self.encoder, alike)) | found
        return found

    def near_duplicates(self, query: Query) -> list[Case]:
        """Return the cases that hold one of the images of a query, or a near duplicate of one."""
        return self._cases(sorted(self._image_checks(query).duplicates))

    def _cases(self, case_ids: Sequence[int]) -> list[Case]:
        """Get cases by id, with a cache, because reading a case takes milliseconds."""
        kept = self._cache
        known = {one: case for one in case_ids if (case := kept.get(one)) is not None}
        missing = [one for one in case_ids if one not in known]
        known |= {case.case_id: case for case in self.index.cases.get(missing)} if missing else {}
        kept.update(known)
        while len(kept) > _CACHE_SIZE:
            kept.pop(next(iter(kept)), None)
        return [known[one] for one in case_ids]

    def _label_rules(self, query: Query, options: SearchOptions) -> tuple[LabelRule, ...]:
        """Return the rules of both label options."""
        rules = [names_all(options.labels)] if options.labels else []
        if options.label_filter != "none":
            seen = _query_findings(query, self.encoder) & set(FINDINGS)
            partial = options.label_filter == "partial" and seen
            rules.append(names_any(seen) if partial else names_only(seen))
        return tuple(rules)


def _excluding(options: SearchOptions) -> Selection:
    return Selection(
        without_patients=tuple(options.exclude_patient_ids),
        without_studies=tuple(options.exclude_study_ids),
    )


def _query_findings(query: Query, encoder: Encoder) -> frozenset[str]:
    if query.image_findings is not None:
        return query.image_findings
    if not query.images:
        raise UserError("a label filter needs an image to read the labels from")
    raise UserError(
        f"encoder '{encoder.spec.name}' has no label head, so hits cannot be filtered by its "
        "labels: search without a label filter, or use an index of a trained encoder"
    )
