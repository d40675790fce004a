"""What a sentence says of one mention and not of its neighbour."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.findings import FINDING
from indexer.reports.labeller import mentions
from indexer.reports.labelling.mention import Mention

WORDS = (
    "no effusion pneumothorax left right and or , . ; : - ( ) small possible nodule is not seen "
    "the heart enlarged ? none without likely mass fracture rib of in PICC tip"
).split()


def only(text: str, finding: str) -> Mention:
    (mention,) = (one for one in mentions(text) if one.finding == finding)
    return mention


@pytest.mark.parametrize(
    ("text", "finding", "sides", "location"),
    [
        ("RUL nodule.", "Nodule", "right", "upper lobe"),
        ("Lt base atelectasis.", "Atelectasis", "left", "base"),
        ("R pleural effusion, L base scar.", "Scarring", "left", "base"),
        ("Bibasilar infiltrates.", "Infiltrate", "left right", "base"),
        ("Left effusion and right basal scar.", "Pleural Effusion", "left", ""),
        ("Left effusion and right basal scar.", "Scarring", "right", "base"),
        ("Left effusion and atelectasis.", "Atelectasis", "left", ""),
        ("Effusion and atelectasis at the right base.", "Pleural Effusion", "right", "base"),
        ("Atelectasis or scar in the middle lobe.", "Atelectasis", "", "middle lobe"),
        ("A round, calcified right granuloma.", "Granuloma", "right", ""),
        ("Healed fractures of the left ribs 5-7.", "Rib Fracture", "left", "rib 5,rib 6,rib 7"),
        ("Fracture of the right eighth rib.", "Rib Fracture", "right", "rib 8"),
        ("Compression fracture of T12.", "Vertebral Fracture", "", "t12"),
        ("Opacity over the left fifth rib.", "Lung Opacity", "left", ""),
        ("LLL: atelectatic", "Atelectasis", "left", "lower lobe"),
        ("Right effusion, no left nodule or mass.", "Mass", "left", ""),
        ("Right base scar, left upper lobe clear.", "Scarring", "right", "base"),
        ("Left nodule. The right lung is clear.", "Nodule", "left", ""),
        ("Leftward convex scoliosis.", "Scoliosis", "", ""),
        ("Trachea deviated to the left by a right goiter.", "Mediastinal Shift", "left", ""),
        ("Leftward shift of the mediastinum from the right.", "Mediastinal Shift", "left", ""),
        ("A right neck mass displaces the trachea to the left.", "Mediastinal Shift", "left", ""),
        ("Left-to-right mediastinal shift.", "Mediastinal Shift", "right", ""),
        ("Shift of the mediastinum away from the left.", "Mediastinal Shift", "right", ""),
        ("The trachea deviates to the left of the midline.", "Mediastinal Shift", "left", ""),
        ("Left base opacity due to right-sided rotation.", "Lung Opacity", "left", "base"),
        (
            "Left hemidiaphragm elevated compared to the right.",
            "Elevated Hemidiaphragm",
            "left",
            "",
        ),
    ],
)
def test_side_and_place_are_those_of_the_mention(
    text: str, finding: str, sides: str, location: str
) -> None:
    mention = only(text, finding)
    assert mention.sides == set(sides.split())
    assert mention.location == set(filter(None, location.split(",")))


@pytest.mark.parametrize(
    ("text", "finding", "name", "values"),
    [
        ("Small right effusion, large nodule.", "Pleural Effusion", "degree", {"mild"}),
        ("Small to moderate effusion.", "Pleural Effusion", "degree", {"mild", "moderate"}),
        ("Trace edema.", "Edema", "degree", {"minimal"}),
        ("Massive effusion.", "Pleural Effusion", "degree", {"severe"}),
        ("New right effusion and stable nodule.", "Pleural Effusion", "comparison", {"new"}),
        ("New right effusion and stable nodule.", "Nodule", "comparison", {"unchanged"}),
        ("The effusion is larger.", "Pleural Effusion", "comparison", {"larger"}),
        ("Improved edema.", "Edema", "comparison", {"smaller"}),
        ("The ETT has been removed.", "Endotracheal Tube", "comparison", {"removed"}),
        ("The pneumothorax has resolved.", "Pneumothorax", "comparison", {"resolved"}),
        ("Left effusion larger than right effusion.", "Nodule", "comparison", None),
        ("Old clavicle fracture.", "Other Fracture", "age", {"chronic"}),
        ("Dextroscoliosis.", "Scoliosis", "kind", {"dextro"}),
        ("Scoliosis convex to the left.", "Scoliosis", "kind", {"levo"}),
        ("The lumbar spine is convex to the left.", "Scoliosis", "kind", {"levo"}),
        ("Slight convexity of the spine towards the right.", "Scoliosis", "kind", {"dextro"}),
        ("Scoliosis of the spine, convex to the right.", "Scoliosis", "kind", {"dextro"}),
        ("Mild thoracic curvature, convex left.", "Scoliosis", "kind", {"levo"}),
        ("Right pacemaker (single-lead device).", "Pacemaker", "kind", {"single lead"}),
        ("AICD over the left chest (dual-lead device).", "Pacemaker", "kind", {"dual lead"}),
        ("Pacemaker, dual-chamber device, in place.", "Pacemaker", "kind", {"dual lead"}),
        ("Bilateral opacities, more extensive on the left.", "Lung Opacity", "comparison", set()),
        ("Effusions, right larger than left.", "Pleural Effusion", "comparison", set()),
        ("Edema is worse at the right base.", "Edema", "comparison", set()),
        (
            "The effusion is larger on the left than before.",
            "Pleural Effusion",
            "comparison",
            {"larger"},
        ),
        ("Edema is worsening on the right.", "Edema", "comparison", {"larger"}),
        ("Increased opacity at the left base.", "Lung Opacity", "comparison", set()),
        (
            "Mediastinal shift by a goiter, unchanged.",
            "Mediastinal Shift",
            "comparison",
            {"unchanged"},
        ),
        ("Loculated effusion.", "Pleural Effusion", "kind", {"loculated"}),
        ("Dual-lead pacemaker.", "Pacemaker", "kind", {"dual lead"}),
        ("Mechanical mitral valve.", "Valve Prosthesis", "kind", {"mitral"}),
        ("Platelike atelectasis.", "Atelectasis", "kind", {"linear"}),
        ("ETT 4 cm above the carina, NGT in the stomach.", "Endotracheal Tube", "tip", {"carina"}),
        ("ETT 4 cm above the carina, NGT in the stomach.", "Enteric Tube", "tip", {"stomach"}),
        ("Right IJ line ends in the SVC.", "Central Venous Catheter", "tip", {"svc"}),
        ("ETT in the right main bronchus.", "Endotracheal Tube", "tip", {"right main bronchus"}),
    ],
)
def test_further_attributes_are_those_of_the_mention(
    text: str, finding: str, name: str, values: set[str] | None
) -> None:
    if values is None:
        assert finding not in {mention.finding for mention in mentions(text)}
    else:
        assert getattr(only(text, finding), name) == values


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Large right and small left effusions.", [("right", {"severe"}), ("left", {"mild"})]),
        ("Small right and left effusions.", [("left right", {"mild"})]),
        ("Right greater than left effusions.", [("left right", set())]),
    ],
)
def test_sides_that_differ_are_two_mentions(text: str, parts: list[tuple[str, set[str]]]) -> None:
    assert [(one.sides, one.degree) for one in mentions(text)] == [
        (set(sides.split()), degree) for sides, degree in parts
    ]


def test_lobes_of_two_sides_are_kept_apart() -> None:
    one, other = mentions("Opacities in the right upper and left lower lobes.")
    assert (one.sides, one.location) == ({"right"}, {"upper lobe"})
    assert (other.sides, other.location) == ({"left"}, {"lower lobe"})


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("8 mm nodule.", (8,)),
        ("Nodule of 1.2 x 0.8 cm.", (12, 8)),
        ("A 3-cm nodule in the right lung.", (30,)),
        ("Nodule, 5\N{EN DASH}10 mm, and a 4 cm mass.", (5, 10)),
        ("A 9 mm nodule, increased from 4 mm.", (9,)),
    ],
)
def test_sizes_are_in_millimeters(text: str, sizes: tuple[float, ...]) -> None:
    assert only(text, "Nodule").size_mm == sizes


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("Consistent with pneumonia.", "definite"),
        ("Likely pneumonia.", "probable"),
        ("Pneumonia cannot be excluded.", "possible"),
        ("Pneumonia is unlikely.", "unlikely"),
    ],
)
def test_doubt_has_degrees(text: str, certainty: str) -> None:
    assert only(text, "Pneumonia").certainty == certainty


def test_the_side_of_a_line_is_where_it_enters() -> None:
    mention = only("Left PICC ends in the right atrium.", "PICC")
    assert mention.sides == {"left"} and mention.tip == {"right atrium"}
    mention = only("Right PICC, its tip in the left brachiocephalic vein.", "PICC")
    assert mention.sides == {"right"} and mention.tip == {"brachiocephalic vein"}


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("No pneumo-\nthorax.", "pneumo-\nthorax"),
        ("Small pleural eﬀusion.", "pleural eﬀusion"),
        ("XXXX  Pulmonary oedema.", "oedema"),
        ("1. Neg. for hiatal hernia.", "hernia"),
    ],
)
def test_a_mention_is_found_in_the_sentence_as_given(text: str, wording: str) -> None:
    (mention,) = mentions(text)
    assert text[mention.start : mention.end] == wording


@settings(deadline=None)
@given(st.text(max_size=120) | st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_any_text_is_read_and_its_mentions_lie_inside(text: str) -> None:
    for mention in mentions(text):
        assert 0 <= mention.start < mention.end <= len(text)
        assert mention.finding in FINDING


def test_a_long_list_is_read() -> None:
    found = mentions("mass, " * 300 + "effusion: none")
    assert found[-1].finding == "Pleural Effusion" and found[-1].state == "negative"
