import math
import random

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider as PeerCider
from pycocoevalcap.rouge.rouge import Rouge

from db.errors import UserError
from evaluation.metrics.bootstrap import bootstrap
from evaluation.metrics.text import (
    CLEANING,
    Cider,
    bleu_counts,
    bleu_of_sums,
    bleu_statistic,
    clean_r2gen,
    rouge_l_each,
    text_statistics,
)

WORDS = ["heart", "lungs", "clear", "no", "left", "right", "small", "is", "the", ".", "x-ray"]


def random_texts(rng, count, low, high):
    return [" ".join(rng.choices(WORDS, k=rng.randint(low, high))) for _ in range(count)]


def peer(references, candidates):
    """pycocoevalcap on the same tokens: (BLEU-1..4, ROUGE-L, CIDEr), ROUGE-L each, CIDEr each."""
    given = {i: [r] if isinstance(r, str) else r for i, r in enumerate(references)}
    answers = {i: [text] for i, text in enumerate(candidates)}
    bleu, _ = Bleu(4).compute_score(given, answers, verbose=0)
    rouge, rouge_each = Rouge().compute_score(given, answers)
    cider, cider_each = PeerCider().compute_score(given, answers)
    return [*bleu, rouge, cider], rouge_each, cider_each


def assert_equal_to_peer(references, candidates):
    scores, rouge_each, cider_each = peer(references, candidates)
    ours = [one.value for one in text_statistics(references, candidates).values()]
    np.testing.assert_allclose(ours, scores, rtol=0, atol=1e-9)
    np.testing.assert_allclose(rouge_l_each(references, candidates), rouge_each, atol=1e-9)
    np.testing.assert_allclose(Cider(references).score_each(candidates), cider_each, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_pycocoevalcap_with_one_reference(seed):
    rng = random.Random(seed)
    assert_equal_to_peer(random_texts(rng, 60, 1, 30), random_texts(rng, 60, 0, 30))


@pytest.mark.parametrize("seed", range(4))
def test_scores_equal_pycocoevalcap_with_several_references(seed):
    rng = random.Random(seed)
    references = [random_texts(rng, rng.randint(1, 4), 1, 25) for _ in range(40)]
    assert_equal_to_peer(references, random_texts(rng, 40, 0, 25))


def test_rouge_differs_from_pycocoevalcap_by_two_spaces_in_a_row_alone():
    references, candidates = ["the heart is  large . clear"], ["the heart  is large . no effusion"]
    once = [" ".join(text.split()) for text in (*references, *candidates)]
    assert_equal_to_peer(once[:1], once[1:])
    [ours], [theirs] = rouge_l_each(references, candidates), peer(references, candidates)[1]
    assert ours == rouge_l_each(once[:1], once[1:])[0] and abs(ours - theirs) > 1e-3
    assert "  " not in clean_r2gen("The  heart.  1. Is\n\nlarge,  -  clear..  XXXX   seen")


@pytest.mark.parametrize(
    ("references", "candidates"),
    [
        (["the heart is large", "lungs clear"], ["", ""]),
        (["the heart is large", "lungs clear"], ["", "lungs clear"]),
        (["the heart is large", "lungs clear"], ["the", "clear"]),
        (["the heart is large", "the lungs"], ["the the the the the the", "the the"]),
        (["the the heart", "lungs"], ["the the the", "heart heart"]),
        (["a b c d e", "f g"], ["u v w x y z", "q"]),
        (["same text here", "same text here"], ["same text here", "same text here"]),
        ([["a b", "a b c d"], ["e", "e f g"]], ["a b c", "e f"]),
        ([["a b c", "a b c"], "d e f"], ["a b c", "f e d"]),
        (["one study only"], ["one study only"]),
        (["a", "b"], ["a a", "b"]),
        ([".", "a ."], [".", "."]),
    ],
)
def test_scores_equal_pycocoevalcap_on_awkward_texts(references, candidates):
    assert_equal_to_peer(references, candidates)


def test_bleu_is_as_computed_by_hand():
    # 4 of 5 words and 2 of 4 pairs match; the reference has 6 words.
    counts = bleu_counts(["the heart is of normal size"], ["the heart has normal size"])
    assert counts.tolist() == [[4, 2, 0, 0, 5, 4, 3, 2, 6]]
    assert bleu_statistic(counts, 1).value == pytest.approx(0.8 * math.exp(-0.2))
    assert bleu_statistic(counts, 2).value == pytest.approx(math.sqrt(0.8 * 0.5) * math.exp(-0.2))
    assert bleu_statistic(counts, 3).value < 0.01


def test_bleu_clips_repeated_words_to_the_richest_reference():
    counts = bleu_counts([["the lung", "the the lung"]], ["the the the the"])
    assert counts[0, 0] == 2


def test_bleu_takes_the_shorter_of_two_equally_close_references():
    assert bleu_counts([["a b c d", "a b"]], ["a b c"])[0, -1] == 2


def test_bleu_sums_counts_over_the_corpus_and_is_no_mean_of_studies():
    counts = bleu_counts(["a b c d", "e"], ["a b c d", "f"])
    assert bleu_of_sums(counts.sum(axis=0).astype(float))[0] == pytest.approx(4 / 5)


def test_rouge_l_is_as_computed_by_hand():
    # "heart normal size" is common: precision 3/4, recall 3/5.
    [score] = rouge_l_each(["the heart is normal size"], ["heart normal in size"])
    precision, recall = 3 / 4, 3 / 5
    assert score == pytest.approx(2.44 * precision * recall / (recall + 1.44 * precision))


def test_cider_of_equal_texts_is_ten_and_of_strangers_nought():
    references = ["one two three four", "five six seven eight"]
    np.testing.assert_allclose(Cider(references).score_each(references), [10, 10])
    assert Cider(references).score_each(references[::-1]).tolist() == [0, 0]


def test_cider_keeps_document_frequencies_of_all_references_when_studies_are_resampled():
    rng = random.Random(3)
    references, candidates = random_texts(rng, 30, 5, 20), random_texts(rng, 30, 5, 20)
    cider = text_statistics(references, candidates)["CIDEr"]
    each = Cider(references).score_each(candidates)
    weights = np.zeros((1, 30))
    weights[0, [4, 9]] = 2, 1
    assert cider.compute(weights)[0] == pytest.approx((2 * each[4] + each[9]) / 3)


def test_statistics_carry_their_names_and_go_into_the_bootstrap():
    rng = random.Random(5)
    scores = text_statistics(random_texts(rng, 40, 5, 20), random_texts(rng, 40, 5, 20))
    assert list(scores) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"]
    for statistic in scores.values():
        interval = bootstrap(statistic, resamples=500)
        assert interval.low < interval.value < interval.high


def test_bleu_of_a_resample_equals_bleu_of_the_studies_written_out():
    rng = random.Random(8)
    references, candidates = random_texts(rng, 12, 3, 20), random_texts(rng, 12, 3, 20)
    drawn = rng.choices(range(12), k=12)
    weights = np.bincount(drawn, minlength=12)[None].astype(float)
    counts = bleu_counts(references, candidates)
    resampled = [bleu_statistic(counts, n).compute(weights)[0] for n in range(1, 5)]
    written_out, _, _ = peer([references[i] for i in drawn], [candidates[i] for i in drawn])
    np.testing.assert_allclose(resampled, written_out[:4])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Heart size is normal. Lungs are CLEAR.", "heart size is normal . lungs are clear ."),
        ("1. Big heart. 2. Wide aorta. 3. No edema.", "big heart . wide aorta . no edema ."),
        ("Big heart 2. Wide aorta 4. Clear lungs", "big heart . wide aorta . clear lungs ."),
        ("No edema... Clear lungs..", "no edema . clear lungs ."),
        ("1........ Clear lungs", "clear lungs ."),
        ('The "so-called" mass/nodule isn\'t seen', "the so-called massnodule isnt seen ."),
        ("A 2.5 cm (round) mass: left; [apex], {old}?!", "a 25 cm round mass left apex old ."),
        ("a <b> = c @ d & e_f * g + h ^ i % j", "a b c d ef g h i j ."),
        ("~one~ $two #three", "~one~ $two #three ."),
        ("Lungs\n  are\tclear . Heart is fine", "lungs are clear . heart is fine ."),
        ("Clear. . Fine", "clear . . fine ."),
        ("Seen at 6. Fine", "seen at 6 . fine ."),
        ("", "."),
        ("XXXX-year-old", "xxxx-year-old ."),
    ],
)
def test_cleaning_gives_the_tokens_of_r2gen(text, tokens):
    assert clean_r2gen(text) == tokens


def test_cleaning_has_a_name_to_print():
    assert CLEANING == "r2gen-iu"


@pytest.mark.parametrize("score", [bleu_counts, rouge_l_each, text_statistics])
@pytest.mark.parametrize(
    ("references", "candidates", "words"),
    [
        ([], [], "at least one study"),
        (["a"], [], "got 0 for 1"),
        (["a"], "a", "one candidate per study"),
        (["a", " "], ["a", "b"], "study 1"),
        (["a", []], ["a", "b"], "study 1"),
        ([["a", ""]], ["a"], "study 0"),
    ],
)
def test_texts_that_cannot_be_scored_are_refused_in_one_sentence(
    score, references, candidates, words
):
    with pytest.raises(UserError, match=words):
        score(references, candidates)


def test_cider_refuses_no_references_and_candidates_of_another_number():
    with pytest.raises(UserError, match="at least one study"):
        Cider([])
    with pytest.raises(UserError, match="got 2 for 1"):
        Cider(["a b"]).score_each(["a", "b"])


def test_bleu_is_refused_beyond_four():
    with pytest.raises(UserError, match="from 1 to 4, got 5"):
        bleu_statistic(bleu_counts(["a"], ["a"]), 5)
