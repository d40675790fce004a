"""Questions: what is answered from the assessment, corrected, or declined."""

import re
from dataclasses import replace

import pytest

from bench.generation.questions import CALIBRATION, invented, measure, read
from db.app.generation import OodCheck
from db.findings import ALL_FINDINGS, FINDING
from db.labels import FINDINGS, OBSERVATIONS
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration
from generator.questions.answer import DecidedAnswer
from generator.questions.decide import decide, decide_all
from generator.questions.image import ORIENTATION
from generator.questions.reading.parse import parse
from generator.questions.reading.spelling import respell
from generator.questions.reading.split import split_questions
from generator.questions.reading.topics.body import NOT_SHOWN, OTHER_EXAMINATION, OTHER_PART
from generator.questions.reading.topics.care import FOLLOW_UP, TREATMENT
from generator.questions.reading.topics.knowledge import GENERAL
from generator.questions.reading.topics.patient import EARLIER, OTHER_PATIENT
from generator.questions.reading.topics.program import OFF_TOPIC, UNCHANGED
from generator.questions.report import to_statement
from indexer.reports.labeller import label_sentence
from retriever.results import View
from tests.conftest import ROOT
from tests.support.cases import a_retrieval

FILES = ROOT / "tests" / "data" / "questions"
SCORES = {"Cardiomegaly": 0.8, "Lung Opacity": 0.7, "Atelectasis": 0.3}
"""The first two are present, atelectasis is possible, all others are absent with 0.10."""
RETRIEVAL = replace(
    a_retrieval(
        [
            "Patchy opacity in the right lower lobe. The heart is enlarged.",
            "Right basilar opacity. No pleural effusion.",
            "The lungs are clear. Heart size is normal. No pneumothorax.",
        ],
        SCORES,
    ),
    views=tuple(View(is_frontal=one, label_scores=None) for one in (True, False)),
)
ASSESSMENT = assess(
    RETRIEVAL,
    {},
    calibration=Calibration(
        knn=0.0,
        label_head=1.0,
        operating_points={"high": 0.2, "balanced": 0.4, "specific": 0.9},
    ),
)


def answered(question: str) -> DecidedAnswer | None:
    return decide(question, ASSESSMENT, RETRIEVAL)


def text_of(question: str) -> str:
    found = answered(question)
    assert found is not None, question
    return found.text


def test_questions_to_turn_away_are_and_questions_on_the_image_are_not() -> None:
    score = measure(
        read(FILES / "declined.txt"), read(FILES / "in_scope.txt"), ASSESSMENT, RETRIEVAL
    )
    assert len(score.missed) <= 2, score.missed
    assert len(score.declined) <= 2, score.declined
    assert len(score.corrected) <= 2, score.corrected


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the heart enlarged?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is the heart size normal?", "No, cardiomegaly is seen (0.80)."),
        ("Isn't the heart enlarged?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is there an effusion?", "No, no pleural effusion is seen (0.10)."),
        ("Is there no effusion?", "Yes, no pleural effusion is seen (0.10)."),
        ("Is there atelectasis?", "Perhaps: atelectasis is only possible (0.30)."),
        (
            "Is there an effusion or cardiomegaly?",
            "Yes, cardiomegaly is seen (0.80). No pleural effusion is seen (0.10).",
        ),
        (
            "Is there an effusion and cardiomegaly?",
            "No, cardiomegaly is seen (0.80). No pleural effusion is seen (0.10).",
        ),
        (
            "Is there an effusion? Is the heart enlarged?",
            "No, no pleural effusion is seen (0.10). Yes, cardiomegaly is seen (0.80).",
        ),
        ("Is the film normal?", "No, cardiomegaly (0.80) and lung opacity (0.70) are seen."),
        ("Is there any abnormality?", "Yes, cardiomegaly (0.80) and lung opacity (0.70) are seen."),
        ("What is abnormal?", "Cardiomegaly, lung opacity."),
        ("Which side is the effusion on?", "No pleural effusion is seen (0.10)."),
        ("How large is the pneumothorax?", "No pneumothorax is seen (0.10)."),
        ("What modality is this?", "This is a chest X-ray."),
        ("Is this a CT scan?", "No, this is a chest X-ray."),
        ("Is this an image of the brain?", "No, this is a chest X-ray."),
        ("What organs are shown?", "The chest: heart, lungs, pleura, mediastinum and ribs."),
        ("Which views are shown?", "Frontal and lateral."),
        (
            "Is there a lung opacity on the right?",
            "Lung opacity is seen (0.70); its side is not told; the similar cases have it on the "
            "right.",
        ),
        (
            "Is there a lung opacity on the left?",
            "Lung opacity is seen (0.70); its side is not told; the similar cases have it on the "
            "right.",
        ),
        ("How should this be treated?", "This describes the chest X-ray and gives no advice on "
         "treatment."),
        ("Should the chest X-ray be repeated?", "This describes the chest X-ray and gives no "
         "advice on follow-up or further tests."),
        ("Has the opacity grown since the last film?", "There is no earlier image to compare "
         "with."),
    ],
)  # fmt: skip
def test_an_answer_agrees_with_the_assessment(question: str, answer: str) -> None:
    assert text_of(question) == answer


@pytest.mark.parametrize(
    "question",
    ["Where is the lung opacity?", "How severe is the cardiomegaly?", "Is the aorta tortuous?"],
)
def test_side_degree_and_other_findings_are_left_to_a_model(question: str) -> None:
    assert answered(question) is None


@pytest.mark.parametrize("name", OBSERVATIONS[1:])
def test_the_labels_of_an_answer_are_those_that_its_text_says(name: str) -> None:
    found = answered(f"Is there {name.lower()}?")
    assert found is not None
    assert set(found.labels) == {name}
    read = label_sentence(found.text)
    assert (read.get(name) == "negative") == (found.labels[name] == "negative"), read


@pytest.mark.parametrize("question", ["?", "", "   ", "((((", "is", "a" * 300, "é" * 50])
def test_any_text_is_parsed(question: str) -> None:
    assert parse(question).kind in ("other", "declined")


def test_a_finding_that_no_hit_names_is_no_premise_either() -> None:
    assert text_of("How severe is the scoliosis?") == "No similar case names scoliosis."
    named = replace(RETRIEVAL, hits=a_retrieval(["Mild scoliosis."]).hits)
    assert decide("How severe is the scoliosis?", ASSESSMENT, named) is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("any plural effussion?", "No, no pleural effusion is seen (0.10)."),
        ("is the hart too big", "Yes, cardiomegaly is seen (0.80)."),
        ("r/o PTX", "No pneumothorax is seen (0.10)."),
        ("numonia?", "No pneumonia is seen (0.10)."),
        ("consol?", "No consolidation is seen (0.10)."),
        ("Has one of my lungs gone down?", "No, no pneumothorax is seen (0.10)."),
        ("do you see a white patch", "Yes, lung opacity is seen (0.70)."),
        ("swelling of the lungs?", "No edema is seen (0.10)."),
        ("Can you rule out a fracture?", "Yes, no fracture is seen (0.10)."),
        ("There's no effusion, is there?", "Yes, no pleural effusion is seen (0.10)."),
        ("62M cough, fever. Is there pneumonia?", "No, no pneumonia is seen (0.10)."),
        ("Is anything wrong with the lungs?", "Yes, lung opacity is seen (0.70)."),
        ("Are the findings normal?", "No, cardiomegaly (0.80) and lung opacity (0.70) are seen."),
        ("PA or AP?", "Frontal and lateral; PA and AP are not told apart."),
        ("Is everything OK in there?", "No, cardiomegaly (0.80) and lung opacity (0.70) are seen."),
        ("Give me a list of what is present", "Cardiomegaly, lung opacity."),
        ("How likely is pneumonia?", "No pneumonia is seen (0.10)."),
    ],
)
def test_questions_are_read_in_the_words_of_those_who_ask(question: str, answer: str) -> None:
    assert text_of(question) == answer


TAKEN = replace(
    RETRIEVAL,
    views=(
        View(is_frontal=True, label_scores=None, position="PA", size=(2000, 2400),
             brightness="dark"),
        View(is_frontal=False, label_scores=None, position="LATERAL", size=(1800, 2400),
             brightness="usual"),
    ),
    ood=OodCheck(in_distribution=True, score=0.0, threshold=-2.0, reason="like the others"),
    notes=("mid-tones balanced", "header names no part of the body"),
    hits=a_retrieval(["Low lung volumes. The heart is enlarged.", "No pneumothorax."]).hits,
)  # fmt: skip
CHECKED = "every image passes the check that flags most turned, inverted and cropped images."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the patient rotated?",
         f"Rotation and position of the patient are not measured; {CHECKED}"),
        ("Are the apices cut off?", f"Whether a part is cut off is not measured; {CHECKED}"),
        ("Are both costophrenic angles included?",
         f"Whether a part is cut off is not measured; {CHECKED}"),
        ("Was there a good inspiratory effort?",
         "The depth of inspiration is not measured; 1 of 2 similar cases name low lung volumes."),
        ("Is the film overexposed?",
         "Exposure and penetration are not measured; as read, image 1 is darker than usual and "
         "image 2 is of usual brightness; notes on the file: mid-tones balanced."),
        ("Is the picture blurry?",
         "Sharpness and motion are not measured; the images have 2000 x 2400 and 1800 x 2400 "
         "pixels."),
        ("What is the resolution?",
         "The images have 2000 x 2400 and 1800 x 2400 pixels; notes on the file: mid-tones "
         "balanced."),
        ("Is the film good enough to rule out anything?",
         "The quality of the image is not rated; the images have 2000 x 2400 and 1800 x 2400 "
         "pixels; as read, image 1 is darker than usual and image 2 is of usual brightness; "
         f"{CHECKED}"),
        ("Is this a PA film?", "Yes, PA by the header; frontal and lateral."),
        ("Is it an AP projection?", "No, PA by the header; frontal and lateral."),
        ("Which view is it?", "Frontal and lateral, PA by the header."),
        ("How many images are there?", "2 images: frontal and lateral."),
        ("Was this taken lying down?",
         "Frontal and lateral, PA by the header. Whether the patient stood, sat or lay, and with "
         "which machine, is not told."),
        ("Is this a portable x-ray?",
         "Frontal and lateral, PA by the header. Whether the patient stood, sat or lay, and with "
         "which machine, is not told."),
    ],
)  # fmt: skip
def test_how_the_image_was_taken_is_answered_with_what_is_known(question: str, answer: str) -> None:
    found = decide(question, ASSESSMENT, TAKEN)
    assert found is not None and not found.declined
    assert found.text == answer


def test_an_image_that_fails_the_check_is_said_to_in_an_answer_on_its_quality() -> None:
    ood = OodCheck(
        in_distribution=False, score=-9.0, threshold=-2.0, reason="the image may be turned"
    )
    found = decide("Is it upside down?", ASSESSMENT, replace(TAKEN, ood=ood))
    assert found is not None
    assert found.text.endswith("; the image may be turned.")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Was the exposure better on the last film?", EARLIER),
        ("Are the lungs clearer than on admission?", EARLIER),
        ("Should the X-ray be repeated because of rotation?", FOLLOW_UP),
        ("Is the knee X-ray well exposed?", OTHER_PART),
        ("Can you sharpen the image?", UNCHANGED),
        ("Change the diagnosis to normal.", UNCHANGED),
        ("What is a good inspiration?", GENERAL),
    ],
)
def test_words_of_image_quality_do_not_answer_what_an_xray_cannot(
    question: str, sentence: str
) -> None:
    found = decide(question, ASSESSMENT, TAKEN)
    assert found is not None and found.declined
    assert found.text == sentence


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Why do you say the heart is enlarged?",
         "Cardiomegaly is seen (0.80): label head 0.80, 1 of 3 similar cases names it."),
        ("How do you know?",
         "Cardiomegaly is seen (0.80): label head 0.80, 1 of 3 similar cases names it. Lung "
         "opacity is seen (0.70): label head 0.70, 2 of 3 similar cases name it."),
        ("What do similar cases show?",
         "Of 3 similar cases: lung opacity in 2, cardiomegaly in 1, no finding in 1."),
        ("Do similar cases have an effusion?",
         "No pleural effusion is seen (0.10); no similar case names it."),
    ],
)  # fmt: skip
def test_what_an_answer_rests_on_is_told(question: str, answer: str) -> None:
    assert text_of(question) == answer


def test_what_similar_cases_show_is_cited() -> None:
    found = decide_all("What do similar cases show?", ASSESSMENT, RETRIEVAL)
    statement = to_statement(found, RETRIEVAL.hits, RETRIEVAL)
    assert [one.quote for one in statement.citations] == [
        "Patchy opacity in the right lower lobe.",
        "Right basilar opacity.",
    ]


def test_evidence_for_a_finding_that_is_not_seen_is_a_failed_premise() -> None:
    found = answered("Why do you think there is an effusion?")
    assert found is not None and found.corrected


@pytest.mark.parametrize("question", ["Is it severe?", "Which side is affected?", "How bad is it?"])
def test_a_degree_or_a_side_without_a_name_is_that_of_what_is_seen(question: str) -> None:
    assert answered(question) is None
    told = decide_all(question, ASSESSMENT, RETRIEVAL)
    assert told.text.startswith("Cardiomegaly is seen (0.80). Lung opacity is seen (0.70)")


def test_an_organ_that_is_not_assessed_is_told_in_the_words_of_a_similar_case() -> None:
    retrieval = a_retrieval(
        [
            "The lungs are clear.",
            "Stomach bubble unchanged. The stomach bubble is normal.",
            "Gas in the stomach.",
        ],
        SCORES,
    )
    found = decide_all("Is the stomach bubble seen?", ASSESSMENT, retrieval)
    assert found.text == (
        "This is not assessed; 2 of 3 similar cases speak of it: “The stomach bubble is normal.”"
    )
    statement = to_statement(found, retrieval.hits, retrieval)
    assert [(one.number, one.quote) for one in statement.citations] == [
        (2, "The stomach bubble is normal."),
        (3, "Gas in the stomach."),
    ]


def test_a_similar_case_is_not_quoted_against_the_assessment() -> None:
    retrieval = a_retrieval(["Hila and heart size are normal.", "Normal hila."], SCORES)
    found = decide_all("Are the hila symmetric?", ASSESSMENT, retrieval)
    assert "heart" not in found.text
    assert found.quotes == {2: "Normal hila."}


@pytest.mark.parametrize(
    "question",
    [
        "Is there tree-in-bud?",
        "Do you see a nasal cannula?",
        "What is the dark area at the top?",
        "Are the paratracheal stripes preserved?",
        "Is there dextrocardia?",
    ],
)
def test_what_no_rule_knows_by_name_is_left_to_a_model(question: str) -> None:
    assert answered(question) is None


@pytest.mark.parametrize(
    "question", ["Is there a train to Leeds?", "How many planets are there?", "Can I see a movie?"]
)
def test_what_is_there_in_the_world_is_no_question_on_the_image(question: str) -> None:
    found = answered(question)
    assert found is not None and found.declined


@pytest.mark.parametrize(
    "question",
    [
        "Is the nodule calcified?",
        "Which lung is down?",
        "Does the pleural plaque look old?",
        "Which lobe is the spot in?",
        "There is a mass at the hilum. Is it calcified?",
        "Given the effusion, is the heart enlarged?",
        "Is there a fracture under the pneumothorax?",
        "measure the rim of air at the apex",
    ],
)
def test_a_finding_that_is_taken_for_granted_is_corrected_where_it_is_not_seen(
    question: str,
) -> None:
    found = answered(question)
    assert found is not None and found.corrected and not found.declined
    assert found.text.startswith("No ") and set(found.labels.values()) == {"negative"}


@pytest.mark.parametrize(
    "question",
    [
        # a property of what has an article
        "Is the rim of the nodule jagged?",
        "What is the depth of the effusion?",
        "Rate the grade of the edema",
        # one side compared with the other
        "Is the left pneumothorax deeper than the right one?",
        "Is the pneumonia denser on the left?",
        # which one it is
        "Which of the clavicles is the snapped one?",
        "Which hilum is the swollen one?",
        # extent
        "Did the left lung collapse completely or just the tip?",
        "Does the lung collapse involve the top?",
        # told before
        "I can see the water round my lung, but how deep is it?",
        "She was told of a mass and I want to know which lobe it is in",
        "Describe the spread of the nodules: are they more on the left?",
        # what is done to an organ
        "What is pushing the trachea over?",
        "Which structure narrows the airway?",
        "By what is the left diaphragm lifted?",
        # a thing that may be there and is not
        "Is the left chest tube still in place?",
        "And the right-sided pacemaker?",
        "Does the coronary stent look intact?",
        "What type of pacemaker is seen?",
        "Roughly how many ribs are broken?",
    ],
)
def test_a_property_a_comparison_or_an_extent_takes_its_finding_for_granted(question: str) -> None:
    retrieval = invented([], [])
    found = decide(question, assess(retrieval, {}, calibration=CALIBRATION), retrieval)
    assert found is not None and found.corrected, found


@pytest.mark.parametrize(
    "question",
    [
        "Is the lower spine displaying osteophytes?",
        "They want to rule out a mass. Is there any hint of it?",
        "Worried about a collapsed lung; can you see one?",
        "Is the right hemidiaphragm lower than the left?",
        "Is one side of the chest darker than the other?",
        "Do the two lungs look alike?",
        "Are pleural effusions present?",
        "Why do you call the mediastinum normal?",
        "Is something pushing the trachea?",
        "Is the trachea compressed, if at all?",
        "Is a pacemaker seen on the left?",
        "Family history of lung cancer, is the heart enlarged?",
        "Is the contrast of the image good?",
    ],
)
def test_what_is_only_asked_for_is_not_taken_for_granted(question: str) -> None:
    found = answered(question)
    assert found is None or not (found.corrected or found.declined), found


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Does the PET show uptake in the hilum?", OTHER_EXAMINATION),
        ("Is there a thrombus on the CT pulmonary angiogram?", OTHER_EXAMINATION),
        ("How did my echocardiogram look?", OTHER_EXAMINATION),
        ("Is the valve leaky, or is it a leaking mitral valve?", NOT_SHOWN),
        ("Would a solicitor take this on?", OFF_TOPIC),
        ("Was it negligent to miss the nodule?", OFF_TOPIC),
        ("Shall we ask for a heart specialist?", FOLLOW_UP),
        ("Would another drain be of use?", TREATMENT),
    ],
)
def test_other_examinations_and_the_law_are_declined(question: str, sentence: str) -> None:
    found = answered(question)
    assert found is not None and found.declined
    assert found.text == sentence


@pytest.mark.parametrize(
    "question",
    [
        "Is this a CT or an X-ray?",
        "The CT showed a nodule. Is it on this X-ray too?",
        "Are both hemidiaphragms at the same level?",
        "Is there a difference between the two hila?",
        "Compared with the right, is the left base denser?",
        "Is the heart compensating for something?",
    ],
)
def test_words_of_what_is_declined_do_not_decline_the_chest_xray(question: str) -> None:
    found = answered(question)
    assert found is None or not found.declined, found


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the chest normal or abnormal?", "Cardiomegaly (0.80) and lung opacity (0.70) are "
         "seen."),
        ("Is the heart normal or enlarged?", "Cardiomegaly is seen (0.80)."),
        ("There isn't an effusion, is there?", "Yes, no pleural effusion is seen (0.10)."),
        ("How confident are you?", "Seen: cardiomegaly (0.80) and lung opacity (0.70); possible: "
         "atelectasis (0.30)."),
        ("What side of the image is the patient's right?", ORIENTATION),
        ("How do the pleural spaces look on the lateral view?", "No abnormality of the pleura is "
         "seen."),
        ("Is there a tube, and if so is it in too far?", "No, no support devices are seen "
         "(0.10)."),
        ("Anything behind the heart?", "Yes, lung opacity is seen (0.70)."),
    ],
)  # fmt: skip
def test_an_answer_is_one_to_what_was_asked(question: str, answer: str) -> None:
    assert text_of(question) == answer


@pytest.mark.parametrize(
    "question", ["Where is the aortic arch?", "Where is the heart?", "What is that whitish blob?"]
)
def test_a_place_or_a_shape_is_not_answered_with_findings(question: str) -> None:
    assert answered(question) is None


def test_what_is_seen_may_be_taken_for_granted() -> None:
    for question in ("Is the opacity calcified?", "Which lobe is the shadow in?"):
        assert answered(question) is None, question
    assert text_of("Given the opacity, is there an effusion?").startswith("No, no pleural")


def test_a_question_on_it_is_about_the_finding_before() -> None:
    assert split_questions("Is there an effusion? Which side is it on?") == [
        "Is there an effusion?",
        "Which side is the pleural effusion on?",
    ]
    assert split_questions("Is there a mass and where is it?")[1] == "where is the lung lesion?"
    assert split_questions("Known COPD. Any nodules?") == ["Any nodules?"]


@pytest.mark.parametrize(
    ("question", "answer", "cited"),
    [
        ("Where is the lung opacity?",
         "Lung opacity is seen (0.70); the similar cases have it on the right.", [1, 2]),
        ("How severe is the cardiomegaly?",
         "Cardiomegaly is seen (0.80); without a language model nothing more is said of it.", [1]),
        ("Is the aorta tortuous?",
         "Whether there is tortuous aorta is not assessed; no similar case names it.", []),
        ("Are the hila symmetric?", "Without a language model this question is not answered.", []),
        ("Is there an effusion?", "No, no pleural effusion is seen (0.10).", [2, 3]),
    ],
)  # fmt: skip
def test_without_a_language_model_the_similar_cases_tell_the_rest(
    question: str, answer: str, cited: list[int]
) -> None:
    found = decide_all(question, ASSESSMENT, RETRIEVAL)
    assert found.text == answer
    statement = to_statement(found, RETRIEVAL.hits, RETRIEVAL)
    assert [one.number for one in statement.citations] == cited


def test_a_finding_outside_the_14_is_told_with_the_cases_that_name_it() -> None:
    retrieval = a_retrieval(["Mild scoliosis. No effusion.", "Normal chest."], SCORES)
    found = decide_all("Is there scoliosis?", ASSESSMENT, retrieval)
    assert found.text == "Whether there is scoliosis is not assessed; 1 of 2 similar cases name it."
    statement = to_statement(found, retrieval.hits, retrieval)
    assert [one.quote for one in statement.citations] == ["Mild scoliosis."]


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("pnuemothorax", "pneumothorax"),
        ("atelectisis", "atelectasis"),
        ("emfisema", "emphysema"),
        ("cardiomeg", "cardiomegaly"),
        ("lesson", "lesson"),
        ("fusion", "fusion"),
        ("restaurant", "restaurant"),
    ],
)
def test_misspelt_words_of_chest_xrays_are_put_right_and_others_left(word: str, right: str) -> None:
    assert respell(word) == right


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        *((f"Is there {name.lower()}?", "presence") for name in FINDINGS),
        *((f"Does the film show {name.lower()}?", "presence") for name in FINDINGS),
        *((f"Where is the {name.lower()}?", "detail") for name in FINDINGS),
        ("Is the film normal?", "normal"),
        ("Is this a normal chest x-ray?", "normal"),
        ("Is there any abnormality?", "normal"),
        ("What does the film show?", "what"),
        ("What is the main finding?", "what"),
        ("What view is this?", "view"),
        ("Is this a portable x-ray?", "view"),
        ("Are the lungs clear on this film?", "presence"),
        ("Do the lungs on this film look normal?", "presence"),
        ("Is the tube well positioned?", "detail"),
        ("Is the opacity sharp?", "detail"),
        ("Is this a frontal or a lateral film?", "view"),
    ],
)
def test_questions_made_from_reports_are_read(question: str, kind: str) -> None:
    assert parse(question).kind == kind


ALL_PRESENT = assess(
    a_retrieval(["The lungs are clear."], dict.fromkeys(FINDINGS, 0.8)), {}, calibration=CALIBRATION
)
ALL_ABSENT = assess(a_retrieval(["The lungs are clear."], {}), {}, calibration=CALIBRATION)
NARROWER = [
    one.name
    for one in ALL_FINDINGS
    if one.parent not in (None, one.name, "Pleural Other")
    and one.name not in ("Other Device", "Other Fracture")
]


@pytest.mark.parametrize("name", NARROWER)
def test_a_finding_narrower_than_its_observation_is_not_claimed(name: str) -> None:
    question = f"Is there {'an' if name[0] in 'AEIO' else 'a'} {name.lower()}?"
    found = decide(question, ALL_PRESENT, RETRIEVAL)
    assert found is not None
    assert re.match(r"(?!Yes|No)[A-Z].* (?:is|are) seen \(0\.80\); whether (?:it|one) is ",
                    found.text)  # fmt: skip
    assert "is not told apart" in found.text
    parent = FINDING[name].parent
    assert found.labels == {parent: "positive"}
    assert label_sentence(found.text).get(parent or "") in ("positive", "uncertain")
    nothing = decide(question, ALL_ABSENT, RETRIEVAL)
    assert nothing is not None and nothing.text.startswith("No, no ")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is he in heart failure?", "Edema is seen (0.80); whether it is heart failure"),
        ("Is there cancer?", "Lung lesion is seen (0.80); whether it is cancer"),
        ("Is there an empyema?", "Pleural effusion is seen (0.80); whether it is an empyema"),
        ("Is a rib broken?", "Fracture is seen (0.80); whether it is a rib fracture"),
        ("Is he intubated?", "Support devices are seen (0.80); whether one is an endotrach"),
        ("Any ICD?", "Support devices are seen (0.80); whether one is a defibrillator"),
        ("Is there no pacemaker?", "Support devices are seen (0.80); whether one is a pacemaker"),
        ("A PICC or a port?", "Support devices are seen (0.80); whether one is a PICC or a "),
        ("Is there a pacemaker or edema?", "Yes, edema is seen (0.80). Support devices are seen"),
        ("Is there a pacemaker and edema?", "Edema is seen (0.80). Support devices are seen"),
        ("Where is the fibrosis?", "Lung opacity is seen (0.80); whether it is fibrosis"),
        ("Is there a lung lesion?", "Yes, lung lesion is seen (0.80)."),
        ("Is there a spot on the lung?", "Yes, lung lesion is seen (0.80)."),
        ("Are there lines or tubes?", "Yes, support devices are seen (0.80)."),
        ("Is there a fracture?", "Yes, fracture is seen (0.80)."),
        ("Is there severe edema?", "Yes, edema is seen (0.80); its extent is not told."),
        ("Any basilar atelectasis?", "Yes, atelectasis is seen (0.80); its place is not told."),
    ],
)  # fmt: skip
def test_names_of_diseases_and_places_are_not_claimed_either(question: str, answer: str) -> None:
    found = decide(question, ALL_PRESENT, RETRIEVAL)
    assert found is not None and found.text.startswith(answer)


def test_similar_cases_that_name_what_is_not_told_apart_are_counted_and_cited() -> None:
    pacemaker = a_retrieval(["The lungs are clear.", "Left chest pacemaker.", "No pacemaker."])
    found = decide("Is there a pacemaker?", ALL_PRESENT, pacemaker)
    assert found is not None
    assert found.text.endswith("is not told apart. 1 of 3 similar cases names a pacemaker.")
    shown = tuple(replace(hit, rank=hit.rank - 1) for hit in pacemaker.hits[1:])
    (citation,) = to_statement(found, shown, pacemaker).citations[:1]
    assert (citation.number, citation.study_id) == (1, "s2")
    assert citation.quote == "Left chest pacemaker."
    about = decide("Which side is the pacemaker on?", ALL_PRESENT, pacemaker)
    assert about is None
    assert decide("Which side is the port on?", ALL_PRESENT, pacemaker) is not None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the heart bigger than normal?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is the heart size above normal?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is my dog's X-ray normal?", OTHER_PATIENT),
        ("Is this a cat scan?", "No, this is a chest X-ray."),
    ],
)
def test_normal_may_be_what_is_exceeded_and_the_patient_an_animal(
    question: str, answer: str
) -> None:
    assert text_of(question) == answer


def test_a_choice_of_two_sides_is_answered_neither_with_yes_nor_with_no() -> None:
    found = decide_all("Is the opacity on the right or the left?", ASSESSMENT, RETRIEVAL)
    assert found.text == "Lung opacity is seen (0.70); the similar cases have it on the right."
