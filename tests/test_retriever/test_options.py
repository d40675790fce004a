"""Search options as arguments of a command."""

import argparse
from dataclasses import fields

import pytest

from db.errors import UserError
from retriever.arguments import add_search_arguments, search_options
from retriever.options import SearchOptions, parameters


def parsed(*argv: str) -> SearchOptions:
    parser = argparse.ArgumentParser()
    add_search_arguments(parser)
    return search_options(parser.parse_args(argv))


def test_every_option_has_a_parameter_with_help() -> None:
    assert [one.option for one in parameters()] == [one.name for one in fields(SearchOptions)]
    assert all(one.help for one in parameters())


def test_no_argument_gives_the_defaults() -> None:
    assert parsed() == SearchOptions()


def test_every_argument_reaches_its_option() -> None:
    given = parsed(
        *("-k", "3", "--exclude-patient", "p1", "--exclude-patient", "p2"),
        *("--exclude-study", "s1", "--keep-near-duplicates", "--distinct-reports"),
        *("--label", "Edema", "--label-filter", "partial", "--min-score", "0.1"),
        *("--min-ratio", "0.2", "--diversity", "0.3", "--text-weight", "0.4"),
    )
    assert given == SearchOptions(
        k=3,
        exclude_patient_ids=("p1", "p2"),
        exclude_study_ids=("s1",),
        exclude_near_duplicates=False,
        distinct_reports=True,
        labels=("Edema",),
        label_filter="partial",
        min_score=0.1,
        min_ratio=0.2,
        diversity=0.3,
        text_weight=0.4,
    )


def test_a_command_can_offer_some_options_with_other_defaults() -> None:
    parser = argparse.ArgumentParser()
    add_search_arguments(parser, only=["k", "exclude_study_ids"], k=10)
    assert search_options(parser.parse_args([])) == SearchOptions(k=10)
    with pytest.raises(SystemExit):
        parser.parse_args(["--diversity", "1"])


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"min_score must be between -1 and 1, not 2\.0"):
        parsed("--min-score", "2")
