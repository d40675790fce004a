"""What two assessments of a patient say of a finding, and how it is worded."""

from datetime import date

import pytest

from db.app.observations import Change, ChangeKind, Observation, ObservationState
from generator.prior.changes import compare, difference_interval, labels_of, sentence

MAY = date(2026, 5, 3)


def seen(
    probability: float, state: ObservationState, spread: float = 0.05, name: str = "Edema"
) -> Observation:
    return Observation(
        name=name,
        probability=probability,
        low=max(0.0, probability - spread),
        high=min(1.0, probability + spread),
        state=state,
        language_model=None,
        knn=probability,
        knn_low=0.0,
        knn_high=1.0,
        label_head=probability,
    )


@pytest.mark.parametrize(
    ("now", "before", "kind"),
    [
        (seen(0.9, "present"), seen(0.1, "absent"), "new"),
        (seen(0.1, "absent"), seen(0.9, "present"), "no longer seen"),
        (seen(0.9, "present"), seen(0.88, "present"), "unchanged"),
        (seen(0.95, "present"), seen(0.3, "present"), "more certain"),
        (seen(0.3, "present"), seen(0.95, "present"), "less certain"),
        (seen(0.9, "present"), seen(0.2, "possible"), "more certain"),
        (seen(0.15, "possible"), seen(0.9, "present"), "less certain"),
        (seen(0.22, "present"), seen(0.18, "absent"), None),  # within its interval
        (seen(0.9, "present", 0.6), seen(0.1, "absent", 0.6), None),  # an interval too wide
        (seen(0.1, "absent"), seen(0.05, "absent"), None),
        (seen(0.18, "possible"), seen(0.01, "absent"), None),
        (seen(0.9, "present"), seen(0.1, "not assessable"), None),
    ],
)
def test_a_change_needs_a_difference_beyond_its_interval(
    now: Observation, before: Observation, kind: ChangeKind | None
) -> None:
    found = compare(now, before, 0.5)
    assert (None if found is None else found.kind) == kind


def test_a_difference_below_the_least_change_is_none() -> None:
    now, before = seen(0.9, "present", 0.01), seen(0.8, "present", 0.01)
    assert compare(now, before, 0.5).kind == "more certain"  # type: ignore[union-attr]
    assert compare(now, before, 1.0).kind == "unchanged"  # type: ignore[union-attr]


def test_the_interval_of_a_difference_is_made_by_square_and_add() -> None:
    # The standard error of a difference of independent estimates: the root of summed squares.
    low, high = difference_interval(seen(0.5, "present", 0.03), seen(0.2, "absent", 0.04))
    assert (low, high) == pytest.approx((0.25, 0.35))


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("Pleural Effusion", "new", "Pleural effusion is new since 3 May 2026."),
        ("Support Devices", "new", "Support devices are new since 3 May 2026."),
        ("Edema", "no longer seen", "Edema, seen on 3 May 2026, is no longer seen."),
        ("Edema", "unchanged", "Edema is unchanged since 3 May 2026."),
        ("Edema", "more certain", "Edema is seen with more certainty than on 3 May 2026."),
    ],
)
def test_a_change_is_worded_with_the_date_of_the_prior_study(
    name: str, kind: ChangeKind, text: str
) -> None:
    change = Change(
        observation=name, kind=kind, probability=0.9, prior_probability=0.1, low=0.1, high=0.9
    )
    assert sentence(change, MAY) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("new", "Edema is new since the prior study."),
        ("no longer seen", "Edema, seen in the prior study, is no longer seen."),
        ("less certain", "Edema is seen with less certainty than in the prior study."),
    ],
)
def test_without_a_date_the_prior_study_is_named(kind: ChangeKind, text: str) -> None:
    change = Change(
        observation="Edema", kind=kind, probability=0.9, prior_probability=0.1, low=0.1, high=0.9
    )
    assert sentence(change, None) == text


def test_what_is_no_longer_seen_is_denied_of_the_study() -> None:
    gone = compare(seen(0.1, "absent"), seen(0.9, "present"), 0.5)
    doubtful = compare(seen(0.15, "possible"), seen(0.9, "present"), 0.5)
    assert gone is not None and doubtful is not None
    assert labels_of(gone, seen(0.1, "absent")) == {"Edema": "negative"}
    assert labels_of(doubtful, seen(0.15, "possible")) == {"Edema": "uncertain"}
