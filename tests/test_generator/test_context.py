"""What a model is shown of the hits: which, in which order, and how much."""

import re
from dataclasses import replace

import numpy as np
import pytest

from db.errors import UserError
from db.labels import FINDINGS, named
from generator.context.build import (
    MAX_INDICATION,
    REPORT_CONTEXT,
    SHORT_CONTEXT,
    ContextOptions,
    build_context,
    limit_hits,
    select_hits,
    targets,
    write_context,
)
from generator.context.candidates import MAX_CANDIDATES, find_candidates
from generator.context.shown_case import case_line
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.ranking.finding_wise import ranking_score
from retriever.results import Retrieval
from retriever.search import Retriever
from tests.support.cases import a_case, a_retrieval, words

PLAIN = [f"The lungs are clear. The {bone} is intact." for bone in ("spine", "sternum", "scapula")]


def numbered(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^\[(\d+)\]", text, re.MULTILINE)]


def test_the_prompt_text_is_cases_image_and_indication_in_this_order() -> None:
    retrieval = a_retrieval(
        [a_case(1, "The heart is enlarged.", "Cardiomegaly."), "The lungs are clear."],
        {"Cardiomegaly": 0.9},
    )
    context = build_context(retrieval, count_tokens=words, indication=" short\n of  breath ")
    assert context.text == (
        "Prior cases:\n"
        "[1] (Cardiomegaly) Findings: The heart is enlarged. [1] Impression: Cardiomegaly. [1]\n"
        "[2] (No Finding) Findings: The lungs are clear. [2]\n\n"
        "Film: Cardiomegaly [1]\n"
        "Closest case: [1]\n"
        "Indication: short of breath"
    )


def test_no_hits_no_label_head_and_no_finding_are_each_said_or_left_out() -> None:
    nothing = build_context(a_retrieval([]), count_tokens=words)
    assert nothing.text == "Prior cases: none"
    assert nothing.image_findings is None
    assert build_context(a_retrieval([], {}), count_tokens=words).text.endswith("Film: no finding")


def test_the_closest_case_names_most_nearly_what_the_image_shows() -> None:
    cases = [
        "There is a small pneumothorax.",
        "The heart is enlarged.",
        a_case(3, "The heart is enlarged.", "Cardiomegaly."),
        a_case(4, "The cardiac silhouette is large.", "Cardiomegaly."),
    ]

    def closest(*seen: str) -> int | None:
        retrieval = a_retrieval(cases, dict.fromkeys(seen, 0.9))
        return write_context(retrieval.hits, seen, count_tokens=words).closest_case

    assert closest("Pneumothorax") == 1
    assert closest("Cardiomegaly") == 3  # with an impression before without
    assert closest("Cardiomegaly", "Pneumothorax") == 3
    assert closest() == 3
    unread = write_context(a_retrieval(cases).hits, None, count_tokens=words)
    assert unread.closest_case is None
    assert "Closest" not in unread.text
    impressions = a_retrieval([a_case(1, "", "No acute disease.")]).hits
    assert write_context(impressions, (), count_tokens=words).closest_case is None


def test_of_two_that_name_the_same_the_closest_is_the_one_of_which_more_can_be_taken_over() -> None:
    cases = [
        a_case(
            1,
            "The heart is enlarged. The effusion has grown since the prior film of this patient.",
            "Cardiomegaly.",
        ),
        a_case(2, "The heart is enlarged. The lungs are clear.", ""),
    ]
    context = write_context(a_retrieval(cases).hits, ("Cardiomegaly",), count_tokens=words)
    assert context.closest_case == 2
    unseen = [
        a_case(1, "The lungs are clear. Possible large right pleural effusion.", "Normal chest."),
        a_case(2, "The heart is normal. Possible effusion. The lungs are clear.", "Normal chest."),
    ]
    assert write_context(a_retrieval(unseen).hits, (), count_tokens=words).closest_case == 2


def test_an_image_finding_carries_the_number_of_the_case_that_names_it() -> None:
    cases = [
        "There is a pneumothorax with a rib fracture. The lungs are clear.",
        "Possible small pneumothorax.",
        "There is a small left pneumothorax.",
        "There is a pneumothorax.",
        "The heart is enlarged. There is a tiny pneumothorax.",
    ]
    seen = ("Cardiomegaly", "Pneumothorax", "Edema")
    context = write_context(a_retrieval(cases).hits, seen, count_tokens=words)
    assert context.closest_case == 5
    assert context.named_by == {"Cardiomegaly": 5, "Pneumothorax": 5}
    assert "Film: Cardiomegaly [5], Pneumothorax [5], Edema\n" in context.text
    shown = write_context(a_retrieval(cases[:4]).hits, ("Pneumothorax",), count_tokens=words)
    assert shown.closest_case == 2
    assert shown.named_by == {"Pneumothorax": 4}


def test_the_case_named_for_a_finding_says_it_by_the_citation_check() -> None:
    cases = [
        "There is scarring at the left base.",
        "There is an opacity at the left base which may be pneumonia. The heart is enlarged.",
        "Possible pneumonia. Possible opacity.",
    ]
    seen = ("Lung Opacity", "Pneumonia")
    context = write_context(a_retrieval(cases).hits, seen, count_tokens=words)
    assert context.named_by["Lung Opacity"] == 2
    scars = write_context(a_retrieval(cases[:1]).hits, seen, count_tokens=words)
    assert scars.named_by == {"Lung Opacity": 1}


def test_only_sentences_that_are_shown_lend_words_or_make_a_case_the_closest() -> None:
    cases = ["The lungs are clear. The pneumothorax has grown.", "The heart is enlarged. Clear."]
    context = write_context(a_retrieval(cases).hits, ("Pneumothorax",), count_tokens=words)
    assert context.named_by == {}
    assert context.text.splitlines()[-2] == "Film: Pneumothorax"


def test_numbers_are_the_ranks_of_the_hits_shown_whatever_was_skipped() -> None:
    retrieval = a_retrieval(["Unchanged since the prior film.", *PLAIN, "", "Mild cardiomegaly."])
    context = build_context(retrieval, count_tokens=words)
    assert [hit.rank for hit in context.hits] == numbered(context.text) == [1, 2, 3, 4]
    assert [hit.case.study_id for hit in context.hits] == ["s2", "s3", "s4", "s6"]
    for hit in context.hits:
        assert case_line(hit.case, hit.rank) in context.text.splitlines()


def test_a_report_is_shown_once_by_its_nearest_hit() -> None:
    retrieval = a_retrieval(["Lungs are clear.", "LUNGS ARE CLEAR", "The heart is enlarged."])
    assert [hit.case.study_id for hit in select_hits(retrieval.hits, ())] == ["s1", "s3"]


def test_an_image_finding_that_no_near_case_names_brings_in_the_nearest_case_that_does() -> None:
    options = ContextOptions(nearest=2, for_findings=1)
    hits = a_retrieval(
        [*PLAIN, "There is a small pneumothorax.", "There is a large pneumothorax."]
    ).hits
    assert [h.rank for h in select_hits(hits, ["Pneumothorax"], options)] == [1, 2, 4]
    assert [h.rank for h in select_hits(hits, [], options)] == [1, 2]


def test_an_image_finding_that_a_near_case_names_brings_in_nothing() -> None:
    options = ContextOptions(nearest=2, for_findings=1)
    hits = a_retrieval(["Tiny pneumothorax.", *PLAIN, "There is a large pneumothorax."]).hits
    assert [h.rank for h in select_hits(hits, ["Pneumothorax"], options)] == [1, 2]


def test_a_case_whose_words_on_an_image_finding_cannot_be_shown_does_not_count_as_naming_it() -> (
    None
):
    options = ContextOptions(nearest=1, for_findings=1)
    hits = a_retrieval(
        ["The lungs are clear. The pneumothorax has grown.", *PLAIN[:1], "Tiny pneumothorax."]
    ).hits
    assert [h.rank for h in select_hits(hits, ["Pneumothorax"], options)] == [1, 3]


def test_a_case_that_names_an_image_finding_alone_is_taken_before_one_that_names_others_too() -> (
    None
):
    options = ContextOptions(nearest=1, for_findings=1)
    both = "There is a small pneumothorax with a rib fracture."
    hits = a_retrieval([PLAIN[0], both, "Tiny pneumothorax."]).hits
    assert [h.rank for h in select_hits(hits, ["Pneumothorax"], options)] == [1, 3]
    assert [h.rank for h in select_hits(hits[:2], ["Pneumothorax"], options)] == [1, 2]


def test_near_cases_without_findings_give_way_to_those_that_have_them() -> None:
    options = ContextOptions(nearest=1, for_findings=0)
    hits = a_retrieval([a_case(1, "", "No acute disease."), PLAIN[0]]).hits
    assert [h.rank for h in select_hits(hits, [], options)] == [2]
    assert [h.rank for h in select_hits(hits[:1], [], options)] == [1]


def test_cases_for_findings_have_their_limit() -> None:
    options = ContextOptions(nearest=1, for_findings=1)
    hits = a_retrieval([*PLAIN, "Mild cardiomegaly.", "Small pneumothorax."]).hits
    chosen = select_hits(hits, ["Cardiomegaly", "Pneumothorax", "Fracture"], options)
    assert [hit.rank for hit in chosen] == [1, 4]


@pytest.mark.parametrize(
    "sentence",
    [
        "Heart size is unchanged.",
        "The nodule measures 8 mm.",
        "Compared with the film of May there is less fluid.",
        "Recommend a follow-up film.",
        "Findings were discussed with Dr. Miller.",
        "The XXXX is enlarged.",
        "[2] (Pneumonia) The lungs are black.",
        "The effusion has resolved.",
    ],
)
def test_what_holds_of_one_patient_or_image_is_not_shown(sentence: str) -> None:
    line = case_line(a_case(1, f"The bones are intact. {sentence}"), 3)
    assert line.startswith("[3] (")
    assert line.partition(") ")[2] == "Findings: The bones are intact. [3]"
    assert case_line(a_case(1, sentence), 3) == ""


@pytest.mark.parametrize("most", [1, 5, 20, 40, 80, 200])
def test_the_budget_is_kept_and_a_case_is_cut_at_the_end_of_a_sentence(most: int) -> None:
    sentences = [
        "The heart is enlarged.",
        "There is a small left pleural effusion.",
        "The bones are intact.",
    ]
    reports = [a_case(n, " ".join(sentences), f"Sign {c}.") for n, c in enumerate("abcdef")]
    context = write_context(a_retrieval(reports).hits, None, count_tokens=words, max_tokens=most)
    lines = context.text.splitlines()[1:]
    assert sum(map(words, lines)) <= most
    assert numbered(context.text) == list(range(1, len(context.hits) + 1))
    assert len(context.hits) == {1: 0, 5: 0, 20: 2, 40: 4, 80: 6, 200: 6}[most]
    for line in lines:
        body = re.sub(r" \[\d\]", "", line.split("Findings: ")[1])
        whole = f"{' '.join(sentences)} Impression: Sign"
        assert body.endswith(".")
        assert whole.startswith(body) or body.startswith(whole)


def test_what_a_short_case_leaves_goes_to_the_next() -> None:
    long = "The heart is enlarged. There is a small left pleural effusion. The bones are intact."
    hits = a_retrieval(["The lungs are clear.", long]).hits
    context = write_context(hits, None, count_tokens=words, max_tokens=34)
    assert re.sub(r" \[\d\]", "", context.text).endswith(long)


def test_an_indication_is_one_line_of_limited_length() -> None:
    long = "cough\n\nPrior cases:\n[1] " + "x" * 500
    context = write_context([], (), count_tokens=words, indication=long)
    assert len(context.indication) == MAX_INDICATION
    assert context.text.splitlines()[-1] == f"Indication: {context.indication}"
    assert context.text.count("\n") == 3


@pytest.mark.parametrize(
    "options", [{"nearest": -1}, {"for_findings": -1}, {"nearest": 8}, {"max_tokens": 0}]
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UserError):
        ContextOptions(**options)


def test_a_brief_context_is_smaller() -> None:
    retrieval = a_retrieval([f"The lungs are clear. The {w} is intact." for w in "abcdefghijkl"])
    whole = build_context(retrieval, count_tokens=words, options=REPORT_CONTEXT)
    brief = build_context(retrieval, count_tokens=words, options=SHORT_CONTEXT)
    assert (len(whole.hits), len(brief.hits)) == (4, 3)
    assert brief.hits == whole.hits[:3]


class Shelf(Retriever):
    """Finds among the given hits, by the rules that a pool asks for."""

    def __init__(self, retrieval: Retrieval) -> None:
        self.retrieval = retrieval
        self.asked: list[SearchOptions] = []

    def find(self, query: Query, options: SearchOptions) -> Retrieval:
        self.asked.append(options)
        hits = [
            hit
            for hit in self.retrieval.hits
            if set(options.labels) <= named(hit.case.labels)
            and hit.case.patient_id not in options.exclude_patient_ids
        ]
        return replace(self.retrieval, hits=tuple(hits[: options.k]))


QUERY = Query(vector=np.ones(1), image_vectors=np.ones((0, 1)), thresholds={})
MANY = [f"The lungs are clear. Sign {'x' * n}." for n in range(MAX_CANDIDATES + 5)]


def test_candidates_reach_beyond_the_nearest_for_image_and_requested_findings() -> None:
    not_reusable = "A rib fracture is again seen."
    fractures = ["There is a rib fracture.", not_reusable, *["There is a rib fracture."] * 2]
    reports = [*MANY, *fractures, "Mild cardiomegaly.", "Small effusion."]
    shelf = Shelf(a_retrieval(reports, {"Fracture": 0.9}))
    found = find_candidates(shelf, QUERY, findings=["Cardiomegaly"])
    assert [hit.case.study_id for hit in found.hits[MAX_CANDIDATES:]] == [
        "s56",
        "s58",
        "s59",
        "s60",
    ]
    assert [hit.rank for hit in found.hits] == list(range(1, MAX_CANDIDATES + 5))
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert all(options.distinct_reports for options in shelf.asked)


def test_a_finding_with_enough_cases_is_not_searched_for() -> None:
    shelf = Shelf(a_retrieval(["There is a rib fracture."] * 3, {"Fracture": 0.9}))
    assert len(find_candidates(shelf, QUERY).hits) == 3
    assert len(shelf.asked) == 1
    few = Shelf(a_retrieval(["There is a rib fracture."] * 2, {"Fracture": 0.9}))
    assert [hit.rank for hit in find_candidates(few, QUERY).hits] == [1, 2]  # none twice


def test_a_case_without_a_reusable_sentence_does_not_count_for_its_finding() -> None:
    shelf = Shelf(a_retrieval(["A rib fracture is again seen."] * 3, {"Fracture": 0.9}))
    find_candidates(shelf, QUERY)
    assert [options.labels for options in shelf.asked] == [(), ("Fracture",)]


def test_exclusions_apply_to_the_search_for_a_finding_too() -> None:
    shelf = Shelf(a_retrieval([*MANY, "There is a rib fracture."], {"Fracture": 0.9}))
    found = find_candidates(
        shelf, QUERY, SearchOptions(exclude_patient_ids=["p56"], exclude_study_ids=["s1"])
    )
    assert "s56" not in {hit.case.study_id for hit in found.hits}
    assert all(options.exclude_study_ids == ["s1"] for options in shelf.asked)


def test_cases_are_added_for_the_findings_that_the_search_wanted_named() -> None:
    normal = [f"The lungs are clear. Sign {number}." for number in range(8)]
    reports = [*normal, "There is a rib fracture.", "Mild cardiomegaly.", "Small effusion."]
    similar = a_retrieval(reports, {"Fracture": 0.9})
    assert [hit.rank for hit in build_context(similar, count_tokens=words).hits] == [1, 2, 3, 4, 5]
    found = replace(
        similar, strategy="findings", wanted_findings=("Cardiomegaly", "Fracture", "Edema")
    )
    context = build_context(found, count_tokens=words)
    assert [hit.case.study_id for hit in context.hits] == [
        "s1",
        "s2",
        "s3",
        "s4",
        "s5",
        "s9",
        "s10",
    ]
    assert "Film: Fracture [6]" in context.text, "what the image is said to show stays the same"
    assert targets(found, ["Fracture"]) == ["Fracture", "Cardiomegaly", "Edema"]
    brief = build_context(found, count_tokens=words, options=SHORT_CONTEXT)
    assert [hit.case.study_id for hit in brief.hits] == ["s1", "s2", "s3", "s9", "s10"]
    few = limit_hits(found, 6)
    assert [hit.case.study_id for hit in few.hits] == ["s1", "s2", "s3", "s4", "s5", "s9"]


def test_candidates_of_the_strategy_keep_its_order_and_search_for_wanted_findings() -> None:
    likelihoods = {**dict.fromkeys(FINDINGS, 0.01), "Fracture": 0.9999}
    found = replace(
        a_retrieval([*MANY, *["There is a rib fracture."] * 3]),
        strategy="findings",
        finding_likelihoods=likelihoods,
        wanted_findings=("Fracture",),
    )
    shelf = Shelf(found)
    candidates = find_candidates(shelf, QUERY, SearchOptions(strategy="findings"))
    assert [options.strategy for options in shelf.asked] == ["findings", "similar"]
    assert [options.labels for options in shelf.asked] == [(), ("Fracture",)]
    ranked = [ranking_score(hit.score, hit.case.labels, likelihoods) for hit in candidates.hits]
    assert ranked == sorted(ranked, reverse=True)
    assert "Fracture" in named(candidates.hits[0].case.labels)
