"""Few-shot classification against slow twins, and what it says when it cannot know."""

import numpy as np
import pytest

from search.bank_report import report
from search.banks import Bank, build_bank, draw_shots, find_nearest, leave_out, score_neighbours, score_prototypes
from search.blending import Blend, build_blend
from search.classification import DEFAULT_SCALE, NullEvidence, choose_scale, decide
from search.classifiers import AnswerRules, build_bank_classifier
from search.errors import BankError
from search.probes import fit_probe, score_folds, unpack_probe


def _draw_bank(counts, dim=12, seed=0, spread=0.6) -> Bank:
    rng = np.random.default_rng(seed)
    labels = [f"sign{place}" for place, count in enumerate(counts) for _ in range(count)]
    centers = rng.normal(size=(len(counts), dim))
    vectors = centers[[int(label[4:]) for label in labels]] + spread * rng.normal(size=(len(labels), dim))
    order = rng.permutation(len(labels))
    return build_bank(vectors[order], [labels[row] for row in order], [f"id{row}" for row in order])


def _cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_prototypes_are_the_means_of_their_examples():
    bank = _draw_bank([4, 1, 3])
    queries = np.random.default_rng(1).normal(size=(5, 12))
    scores = score_prototypes(queries, bank)
    for column, label in enumerate(bank.classes):
        mean = np.mean([bank.vectors[row] for row in range(len(bank)) if bank.labels[row] == label], axis=0)
        expected = [_cosine(query, mean.astype(np.float64)) for query in queries]
        np.testing.assert_allclose(scores[:, column], expected, atol=1e-6)


def test_neighbours_are_the_best_three_examples_of_a_label():
    bank = _draw_bank([5, 2, 1])
    queries = np.random.default_rng(1).normal(size=(4, 12))
    scores = score_neighbours(queries, bank)
    for row, query in enumerate(queries):
        for column, label in enumerate(bank.classes):
            own = sorted(
                (_cosine(query, bank.vectors[i]) for i in range(len(bank)) if bank.labels[i] == label), reverse=True
            )
            assert scores[row, column] == pytest.approx(np.mean(own[:3]), abs=1e-6)


@pytest.mark.parametrize("method", ["prototype", "neighbours"])
def test_a_left_out_example_is_scored_as_by_a_bank_without_it(method):
    bank = _draw_bank([4, 2, 1, 3])
    scored = {"prototype": score_prototypes, "neighbours": score_neighbours}[method]
    scores = leave_out(bank, method)
    for row in range(len(bank)):
        rest = bank.select(np.delete(np.arange(len(bank)), row))
        expected = dict(zip(rest.classes, scored(bank.vectors[[row]], rest)[0], strict=True))
        for column, label in enumerate(bank.classes):
            if label in expected:
                assert scores[row, column] == pytest.approx(expected[label], abs=1e-6)
            else:
                assert np.isnan(scores[row, column])


def test_shots_are_drawn_alike_and_no_label_is_lost():
    bank = _draw_bank([6, 1, 9])
    few = draw_shots(bank, 3, seed=5)
    assert few.counts.tolist() == [3, 1, 3]
    assert few.ids == draw_shots(bank, 3, seed=5).ids
    assert few.ids != draw_shots(bank, 3, seed=6).ids


def test_the_nearest_examples_come_best_first_and_ties_by_row():
    bank = Bank(np.eye(3, dtype=np.float32)[[0, 1, 0]], ["a", "b", "a"], ["x", "y", "z"])
    rows, cosines = find_nearest(np.array([[1.0, 0.0, 0.0]]), bank, 2)
    assert rows.tolist() == [[0, 2]]
    assert cosines.tolist() == [[1.0, 1.0]]


def test_a_probe_survives_being_kept_and_learns_what_prototypes_cannot():
    # Along the axis that tells the labels apart, the mean of `wide` lies on the wrong side of most of `narrow`.
    rng = np.random.default_rng(0)
    narrow = np.column_stack([rng.normal(0.0, 0.05, 40), np.ones(40), rng.normal(size=40)])
    wide = np.column_stack([rng.normal(0.5, 0.05, 40), np.ones(40), rng.normal(size=40)])
    bank = build_bank(np.concatenate([narrow, wide]), ["narrow"] * 40 + ["wide"] * 40)
    probe = fit_probe(bank)
    kept = unpack_probe(probe.pack())
    np.testing.assert_array_equal(kept.score(bank.vectors), probe.score(bank.vectors))
    right = np.mean(kept.score(bank.vectors).argmax(axis=1) == bank.columns)
    assert right > 0.95
    assert right > np.mean(score_prototypes(bank.vectors, bank).argmax(axis=1) == bank.columns)


def test_a_probe_of_many_labels_survives_being_kept():
    bank = _draw_bank([4, 4, 4])
    probe = fit_probe(bank, version=7)
    kept = unpack_probe(probe.pack())
    np.testing.assert_array_equal(kept.weights, probe.weights)
    assert (kept.classes, kept.version, kept.examples) == (probe.classes, 7, bank.digest)


def test_the_digest_of_a_bank_is_that_of_its_vectors_and_labels():
    bank = _draw_bank([4, 4])
    assert bank.digest == Bank(bank.vectors.copy(), list(bank.labels), ["x"] * 8).digest
    assert bank.digest != Bank(bank.vectors, [*bank.labels[1:], "other"], bank.ids).digest
    moved = bank.vectors.copy()
    moved[3] = moved[4]
    assert bank.digest != Bank(moved, bank.labels, bank.ids).digest


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, fit_probe(_draw_bank([3, 3])).pack()[:-4]])
def test_a_damaged_probe_is_refused(data):
    with pytest.raises(BankError, match="fit it again"):
        unpack_probe(data)


def test_a_probe_needs_two_labels():
    with pytest.raises(BankError, match="at least 2 labels"):
        fit_probe(_draw_bank([4]))


def test_folds_score_by_probes_that_did_not_see_the_example():
    # Labels at random cannot be learned: a probe that saw its examples would be far above one half.
    rng = np.random.default_rng(3)
    bank = build_bank(rng.normal(size=(120, 60)), rng.choice(["a", "b"], 120).tolist())
    scores = score_folds(bank)
    assert not np.isnan(scores).any()
    assert 0.3 < np.mean(scores.argmax(axis=1) == bank.columns) < 0.7


@pytest.mark.parametrize("method", ["prototype", "neighbours", "probe"])
def test_a_report_counts_what_is_confused_and_what_has_too_few(method):
    bank = _draw_bank([8, 8, 2, 1], spread=0.1)
    # Two labels for one sign: each is taken for the other.
    twins = np.repeat(np.random.default_rng(9).normal(size=(1, 12)), 8, axis=0)
    twins += 0.1 * np.random.default_rng(4).normal(size=twins.shape)
    bank = build_bank(
        np.concatenate([bank.vectors, twins]), [*bank.labels, *(["car", "truck"] * 4)], [*bank.ids, *"abcdefgh"]
    )
    found = report(bank, method)
    assert (found.examples, found.labels, found.tested) == (27, 6, 26)
    assert found.too_few == {"sign2": 2, "sign3": 1}
    assert {(pair.label, pair.taken_for) for pair in found.confused} <= {("car", "truck"), ("truck", "car")}
    wrong = sum(pair.times for pair in found.confused)
    assert 1 <= wrong <= 8
    assert found.recall[1] == pytest.approx(1 - wrong / 26)
    assert found.recall[5] == 1


def test_a_report_of_single_examples_tests_nothing():
    found = report(_draw_bank([1, 1, 1]), "prototype")
    assert found.tested == 0
    assert found.recall == {1: None, 5: None, 10: None}


def test_an_empty_bank_is_refused():
    with pytest.raises(BankError, match="empty"):
        build_bank(np.zeros((0, 4)), [])


def test_a_decision_gives_probability_and_margin():
    (decision,) = decide(np.array([[0.1, 0.3, 0.2]]), ["a", "b", "c"], scale=10.0)
    shares = np.exp([1.0, 3.0, 2.0])
    shares /= shares.sum()
    assert decision.label == "b"
    assert decision.probability == pytest.approx(shares[1])
    assert decision.margin == pytest.approx(shares[1] - shares[2])
    assert not decision.rejected
    assert decision.p_value is None


def test_a_query_must_stand_out_from_each_kind_of_unknown_queries():
    scores = np.array([[0.9, 0.1]] * 3)
    evidence = [
        NullEvidence("noise", 99, np.array([0.01, 0.02, 0.5])),
        NullEvidence("examples of other labels", 99, np.array([0.02, 0.3, 0.01])),
        NullEvidence("too few", 5, np.array([1.0, 1.0, 1.0])),
    ]
    found = decide(scores, ["a", "b"], scale=1.0, evidence=evidence, rate=0.05)
    assert [decision.rejected for decision in found] == [False, True, True]
    assert "30 % of examples of other labels" in found[1].reason
    assert "50 % of noise" in found[2].reason


def test_a_background_that_is_too_small_rejects_nothing_and_says_so():
    few = NullEvidence("noise", 10, np.array([1.0]))
    (decision,) = decide(np.array([[0.9, 0.1]]), ["a", "b"], scale=1.0, evidence=[few], rate=0.05)
    assert not decision.rejected
    assert decision.p_value is None
    assert "19 are needed" in decision.reason


def test_the_scale_follows_how_sure_the_scores_may_be():
    rng = np.random.default_rng(0)
    own = rng.integers(0, 3, 60)
    sharp = np.full((60, 3), 0.4)
    sharp[np.arange(60), own] = 0.6
    vague = rng.normal(0.5, 0.1, size=(60, 3))
    assert choose_scale(sharp, own) > choose_scale(vague, own)
    assert choose_scale(sharp[:5], own[:5]) == DEFAULT_SCALE


def _draw_blend(*, shots: int, good: bool, seed: int = 0):
    """Examples around centres, and texts that lie near the centres, or near those of other labels."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, 48))
    examples = np.repeat(centres, shots, axis=0) + rng.normal(0, 1.6, (12 * shots, 48))
    labels = [f"l{number:02d}" for number in range(12) for _ in range(shots)]
    texts = centres + rng.normal(0, 0.3, centres.shape)
    queries = np.repeat(centres, 30, axis=0) + rng.normal(0, 1.6, (360, 48))
    return build_bank(examples, labels), texts if good else np.roll(texts, 1, axis=0), queries


@pytest.mark.parametrize("shots", [1, 3, 5])
def test_texts_count_as_much_as_they_help(shots):
    def measure(scores) -> float:
        return float((scores.argmax(axis=1) == np.repeat(np.arange(12), 30)).mean())

    bank, texts, queries = _draw_blend(shots=shots, good=True)
    blend = build_blend(bank, texts, known=bank)
    assert blend.weight >= 2
    assert measure(blend.score(queries)) > measure(score_prototypes(queries, bank)) + 0.02
    bank, texts, queries = _draw_blend(shots=shots, good=False)
    blend = build_blend(bank, texts, known=bank)
    assert blend.weight == 0
    np.testing.assert_array_equal(blend.score(queries), score_prototypes(queries, bank))


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_an_example_that_is_left_out_of_a_blend_does_not_count(weight):
    bank, texts, _ = _draw_blend(shots=2, good=True)
    bank = bank.select(np.arange(1, len(bank)))  # so that one label has a single example
    blend = Blend(bank, texts / np.linalg.norm(texts, axis=1, keepdims=True), weight)
    scores = blend.leave_out(bank)
    for row, column in enumerate(bank.columns.tolist()):
        others = bank.vectors[(bank.columns == column) & (np.arange(len(bank)) != row)].astype(np.float64)
        rest = others.sum(axis=0) + weight * blend.texts[column]
        if not rest.any():
            assert np.isnan(scores[row, column])
            continue
        assert scores[row, column] == pytest.approx(bank.vectors[row] @ rest / np.linalg.norm(rest), abs=1e-6)


def test_a_blend_needs_a_text_of_each_label():
    bank, texts, _ = _draw_blend(shots=1, good=True)
    with pytest.raises(BankError, match="11 texts for 12 labels"):
        build_blend(bank, texts[1:], known=bank)
    with pytest.raises(BankError, match="needs the texts"):
        build_bank_classifier(bank, "blend", background=None)


def test_a_blend_tells_unknown_clips_by_what_it_knows_of_texts_and_keeps_the_rate():
    def accept(classifier, vectors) -> float:
        rules = AnswerRules(rate=0.1, nearest=0, candidates=1)
        return float(np.mean([not one.decision.rejected for one in classifier.classify(vectors, rules)]))

    found = {"blend": [], "prototype": []}
    for seed in range(12):
        bank, texts, queries = _draw_blend(shots=3, good=True, seed=seed)
        unknown = np.array([label in ("l00", "l01", "l02") for label in bank.labels])
        known_bank = bank.select(np.flatnonzero(~unknown))
        for method, rows in found.items():
            classifier = build_bank_classifier(known_bank, method, background=None, texts=texts[3:])
            rows.append((accept(classifier, queries[:90]), accept(classifier, queries[90:])))
    blend, prototype = (np.mean(found[method], axis=0) for method in ("blend", "prototype"))
    assert abs(blend[0] - 0.1) < 0.03
    assert blend[1] > prototype[1] + 0.1
