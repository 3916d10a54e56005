"""What is read off the answers of trials, against plain loops over made-up answers."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from keystroke_training import assessment
from keystroke_training.assessment import STATISTIC, Groups, assess, hides_scores
from keystroke_training.decisions import FMR, FPIR
from keystroke_training.evaluate import Answers, lay_out, stranger_folds
from keystroke_training.models import MODELS

MODEL = {model.name: model for model in MODELS}
USERS = [str(number) for number in range(1, 9)]


def statistic(evidence, user):
    """The statistic of one user, of one row's evidence."""
    others = np.delete(evidence, user) / STATISTIC.temperature
    mean = math.log(sum(math.exp(other) for other in others) / len(others))
    return STATISTIC.own * evidence[user] - STATISTIC.cohort * STATISTIC.temperature * mean


def answer(trial, dataset, random, strength=2.0):
    """Made-up answers: evidence is noise, and more for the true user where that is known."""
    known = np.unique(dataset.targets[trial.train])
    users = dataset.targets[trial.test]
    own = strength * (users[:, np.newaxis] == known)
    scores = (own + random.normal(size=own.shape)).astype(np.float32)
    top = disturbed = None
    if trial.purpose == "held out":
        top = (random.normal(size=(len(trial.train), len(known))) + 1).astype(np.float32)
        disturbed = {"jitter 2 ms": np.arange(len(users)) % 3 + 1}
    return Answers(known, known[scores.argmax(axis=1)], scores, top, disturbed or {})


def made_up(dataset, name="trees", seed=1, strength=2.0):
    random = np.random.default_rng(seed)
    trials = [trial for trial in lay_out(dataset, [name]) if trial.purpose != "enrolment"]
    return [(trial, answer(trial, dataset, random, strength)) for trial in trials]


def assessed(dataset, asked, name="trees"):
    ranks = np.ones(len(dataset.targets), int)
    return assess(MODEL[name], asked, dataset, ranks, seed=1)


def as_probabilities(asked):
    """The same answers as a model of the eight numbers gives them."""
    found = []
    for trial, answers in asked:
        scores, top = (
            np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
            for values in (answers.scores, answers.top_scores)
        )
        found.append((trial, replace(answers, scores=scores, top_scores=top)))
    return found


@pytest.fixture
def eight(make_dataset):
    return make_dataset(users=USERS, repetitions=[8, 8, 5, 8, 2, 8, 9, 8])


@pytest.fixture
def asked(eight):
    return made_up(eight)


@pytest.fixture
def found(eight, asked):
    return assessed(eight, asked)


def held_out(dataset, asked):
    """Scores of all rows in file order, from the trials that held them out."""
    scores = np.zeros((len(dataset.targets), len(dataset.classes)))
    for trial, answers in asked:
        if trial.purpose == "held out":
            scores[trial.test] = answers.scores
    return scores


def test_recognition_is_counted_over_held_out_rows(eight, asked, found):
    scores, targets = held_out(eight, asked), eight.targets
    ranks = np.array(
        [1 + (row > row[target]).sum() for row, target in zip(scores, targets, strict=True)]
    )
    figures = found.evaluation
    assert figures["folds"] == 9
    assert figures["n"] == 56
    assert figures["rank1"] == pytest.approx((ranks == 1).mean(), abs=1e-4)
    assert figures["rank5"] == pytest.approx((ranks <= 5).mean(), abs=1e-4)
    assert figures["rank1Interval"][0] < figures["rank1"] < figures["rank1Interval"][1]
    assert figures["cmc"] == [pytest.approx((ranks <= n).mean(), abs=1e-4) for n in range(1, 9)]
    assert np.array_equal(found.ranks, ranks)
    assert np.array_equal(found.targets, targets)
    assert np.array_equal(found.predicted, scores.argmax(axis=1))


def test_macro_f1_is_the_mean_over_users(eight, asked, found):
    predicted, targets = held_out(eight, asked).argmax(axis=1), eight.targets
    scores = []
    for user in range(8):
        right = ((predicted == user) & (targets == user)).sum()
        scores.append(2 * right / ((predicted == user).sum() + (targets == user).sum()))
    assert found.evaluation["macroF1"] == pytest.approx(np.mean(scores), abs=1e-4)


def test_users_are_summed_up_by_their_own_rates(eight, asked, found):
    right = held_out(eight, asked).argmax(axis=1) == eight.targets
    rates = [right[eight.targets == user].mean() for user in range(8)]
    summary = found.evaluation["perUser"]
    assert summary["min"] == pytest.approx(min(rates), abs=1e-4)
    assert summary["median"] == pytest.approx(np.median(rates), abs=1e-4)
    assert summary["max"] == pytest.approx(max(rates), abs=1e-4)
    assert summary["belowHalf"] == sum(rate < 0.5 for rate in rates)


def test_the_loss_is_of_the_probability_of_the_true_user(eight, asked, found):
    scores = held_out(eight, asked)
    losses = [
        math.log(sum(math.exp(score - row[target]) for score in row))
        for row, target in zip(scores, eight.targets, strict=True)
    ]
    figures = found.evaluation
    assert figures["logLoss"] == pytest.approx(np.mean(losses), abs=1e-4)
    assert figures["logLossInterval"][0] < figures["logLoss"] < figures["logLossInterval"][1]
    low, high = figures["calibrationErrorInterval"]
    assert 0 <= low < high
    assert sum(rows for *_, rows in found.calibration) == 56


def test_probabilities_are_taken_as_they_are_and_votes_are_none(eight):
    evidence = made_up(eight)
    trials = [(trial, answers) for trial, answers in evidence if trial.purpose == "held out"]
    rf = assessed(eight, as_probabilities(trials), "rf")
    trees = assessed(eight, evidence)
    for name in ("rank1", "logLoss", "calibrationError", "membershipAuc"):
        assert rf.evaluation[name] == pytest.approx(trees.evaluation[name], abs=2e-4)
    assert rf.decision is None
    svm = assessed(eight, trials, "svm")
    assert "logLoss" not in svm.evaluation
    assert svm.calibration == []


def test_membership_is_how_often_a_row_fitted_on_scores_higher(asked, found):
    areas = []
    for trial, answers in asked:
        if trial.purpose == "held out":
            top, other = (
                (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).max(axis=1)
                for scores in (answers.top_scores, answers.scores)
            )
            areas.append(np.mean([(a > b) + (a == b) / 2 for a in top for b in other]))
    assert found.evaluation["membershipAuc"] == pytest.approx(np.mean(areas), abs=1e-4)


@pytest.mark.parametrize(
    ("area", "hidden"), [(0.5, False), (0.8999, False), (0.9, True), (1, True)]
)
def test_scores_that_tell_who_was_trained_on_are_hidden(area, hidden):
    assert hides_scores({"membershipAuc": area}) is hidden


def test_disturbed_typings_are_recognised_at_a_rate(found, asked):
    ranks = np.concatenate(
        [
            answers.disturbed["jitter 2 ms"]
            for trial, answers in asked
            if trial.purpose == "held out"
        ]
    )
    assert found.disturbed == {"jitter 2 ms": pytest.approx((ranks == 1).mean())}


def test_the_last_typings_are_counted_apart(eight, asked, found):
    (trial, answers), *_ = [pair for pair in asked if pair[0].purpose == "later"]
    right = answers.scores.argmax(axis=1) == eight.targets[trial.test]
    assert found.evaluation["later"]["n"] == len(trial.test)
    assert found.evaluation["later"]["rank1"] == pytest.approx(right.mean(), abs=1e-4)


def groups_of(dataset, asked, purpose, attempts, correlation):
    """(evidence, place among the known or −1, fold, user) of so many attempts in a row, found
    one by one.
    """
    together = {"attempts": 2 if attempts <= 2 else 4}.get(purpose, attempts)
    found = []
    for trial, answers in asked:
        if trial.purpose != purpose or (purpose == "attempts" and trial.attempts != together):
            continue
        place = {row: number for number, row in enumerate(trial.test.tolist())}
        for user in range(len(dataset.classes)):
            own = np.flatnonzero(dataset.targets == user)
            for block in range(0, len(own), together):
                for start in range(block, block + together - attempts + 1, attempts):
                    rows = own[start : start + attempts].tolist()
                    if len(rows) < attempts or not all(row in place for row in rows):
                        continue
                    evidence = sum(answers.scores[place[row]].astype(float) for row in rows)
                    evidence = evidence / (1 + (attempts - 1) * correlation)
                    known = np.flatnonzero(answers.known == user)
                    fold = stranger_folds(len(dataset.classes))[user]
                    found.append((evidence, known[0] if len(known) else -1, fold, user))
    return found


def asked_for_decisions(dataset, asked, attempts, correlation):
    """Groups of known users, held out, and of strangers."""
    purpose = "held out" if attempts == 1 else "attempts"
    return [
        *groups_of(dataset, asked, purpose, attempts, correlation),
        *groups_of(dataset, asked, "strangers", attempts, correlation),
    ]


@pytest.mark.parametrize("attempts", [2, 3, 4])
def test_attempts_are_fused_by_user_and_block(eight, asked, found, attempts):
    groups = groups_of(eight, asked, "attempts", attempts, found.decision["correlation"])
    right = [evidence.argmax() == place for evidence, place, *_ in groups]
    (figures,) = [n for n in found.evaluation["attempts"] if n["attempts"] == attempts]
    assert figures["n"] == len(groups)
    assert figures["rank1"] == pytest.approx(np.mean(right), abs=1e-4)


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
def test_thresholds_let_strangers_pass_at_their_rate(eight, asked, found, attempts):
    groups = groups_of(eight, asked, "strangers", attempts, found.decision["correlation"])
    strange = [evidence for evidence, place, *_ in groups if place < 0]
    best = np.array([statistic(evidence, evidence.argmax()) for evidence in strange])
    claims = np.array([statistic(e, user) for e in strange for user in range(len(e))])
    for kind, name, scores, rates in (
        ("identification", "fpir", best, FPIR),
        ("verification", "fmr", claims, FMR),
    ):
        points = [p for p in found.decision[kind]["points"] if p["attempts"] == attempts]
        default = {"fpir": 0.05, "fmr": 0.01}[name]
        told = [rate for rate in rates if rate * len(scores) >= 1 or rate == default]
        assert [point[name] for point in points] == told
        for point in points:
            assert (scores >= point["threshold"]).mean() <= point[name]
            lower = point["threshold"] - 1e-4 * max(1, abs(point["threshold"]))
            assert (scores >= lower).mean() > point[name] - 1 / len(scores)


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
def test_what_points_do_is_measured_by_thresholds_of_other_strangers(eight, asked, found, attempts):
    groups = asked_for_decisions(eight, asked, attempts, found.decision["correlation"])
    (figures,) = [n for n in found.evaluation["strangers"]["attempts"] if n["attempts"] == attempts]
    (claims,) = [
        n for n in found.evaluation["verification"]["attempts"] if n["attempts"] == attempts
    ]
    top = [
        (statistic(e, e.argmax()), e.argmax() == place, place, fold) for e, place, fold, _ in groups
    ]
    assert figures["n"] == claims["genuine"] == sum(place >= 0 for *_, place, _ in top)
    assert figures["strangers"] == sum(place < 0 for *_, place, _ in top)

    def threshold(scores, rate):
        ordered = sorted(scores, reverse=True)
        return ordered[int(rate * len(ordered))]  # above it

    for point in figures["points"]:
        passed = []
        for fold in range(4):
            limit = threshold([k for k, _, p, f in top if p < 0 and f != fold], point["fpir"])
            passed += [k > limit and hit for k, hit, p, f in top if p >= 0 and f == fold]
        assert point["identified"] == pytest.approx(np.mean(passed), abs=1e-4)
    for point in claims["points"]:
        missed = []
        for fold in range(4):
            limit = threshold(
                [
                    statistic(e, user)
                    for e, p, f, _ in groups
                    if p < 0 and f != fold
                    for user in range(len(e))
                ],
                point["fmr"],
            )
            missed += [statistic(e, p) <= limit for e, p, f, _ in groups if p >= 0 and f == fold]
        assert point["fnmr"] == pytest.approx(np.mean(missed), abs=1e-4)
    published = [p for p in found.decision["identification"]["points"] if p["attempts"] == attempts]
    assert [p["fnir"] for p in published] == [
        pytest.approx(1 - p["identified"], abs=1e-4) for p in figures["points"]
    ]


def test_error_rates_are_of_genuine_claims_and_of_strangers(eight, asked, found):
    groups = asked_for_decisions(eight, asked, 1, 0)
    genuine = np.array([statistic(e, place) for e, place, *_ in groups if place >= 0])
    impostor = np.array([statistic(e, u) for e, p, *_ in groups if p < 0 for u in range(len(e))])
    gaps = [
        (abs((impostor >= t).mean() - (genuine < t).mean()), (genuine < t).mean())
        for t in np.sort(np.concatenate([genuine, impostor]))
    ]
    figures = found.evaluation["verification"]["attempts"][0]
    assert figures["impostor"] == len(impostor)
    assert figures["eer"] == pytest.approx(min(gaps)[1], abs=0.01)
    assert figures["eerInterval"][0] < figures["eer"] < figures["eerInterval"][1]
    auroc = np.mean(
        [
            statistic(a, a.argmax()) > statistic(b, b.argmax())
            for a, known, *_ in groups
            if known >= 0
            for b, stranger, *_ in groups
            if stranger < 0
        ]
    )
    assert found.evaluation["strangers"]["attempts"][0]["auroc"] == pytest.approx(auroc, abs=0.05)


def test_all_of_it_is_json(found):
    assert json.loads(json.dumps([found.evaluation, found.decision], allow_nan=False))


def test_of_two_users_false_claims_set_the_thresholds(make_dataset):
    dataset = make_dataset(users=["1", "2"], repetitions=[6, 7])
    asked = made_up(dataset)
    found = assessed(dataset, asked)
    scores = held_out(dataset, asked)
    false = [statistic(row, 1 - t) for row, t in zip(scores, dataset.targets, strict=True)]
    for kind, name in (("identification", "fpir"), ("verification", "fmr")):
        points = found.decision[kind]["points"]
        assert {point["attempts"] for point in points} == {1}
        for point in points:
            assert np.mean(np.array(false) >= point["threshold"]) <= point[name]
    assert {p["fnir"] for p in found.decision["identification"]["points"]} == {None}
    assert "strangers" not in found.evaluation
    assert "strangers" in found.evaluation["verification"]["protocol"]
    assert found.evaluation["verification"]["attempts"][0]["impostor"] == 13


@pytest.mark.parametrize(("copies", "least", "most"), [(True, 0.7, 1.0), (False, 0.0, 0.3)])
def test_attempts_that_are_copies_count_once_and_unlike_ones_in_full(
    make_dataset, copies, least, most
):
    dataset = make_dataset(users=USERS, repetitions=[60] * 8, keys=2)
    random = np.random.default_rng(5)
    asked = []
    for trial, answers in made_up(dataset):
        if trial.purpose == "attempts":
            # Normal noise of variance 4 / 2 and a difference of 2 is evidence as it should be.
            own = (dataset.targets[trial.test][:, np.newaxis] == answers.known) * 2.0
            noise = random.normal(size=own.shape) * 2**0.5
            pairs = dataset.repetitions[trial.test] // 2
            key = dataset.targets[trial.test] * 100 + pairs
            _, first, pair = np.unique(key, return_index=True, return_inverse=True)
            if copies:
                noise = noise[first[pair]]
            answers = replace(answers, scores=(own + noise).astype(np.float32))
        asked.append((trial, answers))
    assert least <= assessed(dataset, asked).decision["correlation"] <= most


def test_places_of_users_are_columns_of_the_evidence():
    groups = Groups(np.zeros((4, 2)), np.array([5, 2, 9, 0]), np.array([2, 5]), np.zeros(4))
    assert groups.places.tolist() == [1, 0, -1, -1]


def test_sessions_are_not_fused_with_each_other(make_dataset):
    dataset = make_dataset(users=USERS[:4], repetitions=[9] * 4)
    dataset = replace(dataset, sessions=dataset.repetitions // 3)
    asked = made_up(dataset)
    # Of repetitions 0 to 8, pairs of one session are 0 1, 4 5 (of 3 4 5) and 6 7.
    groups = list(assessment._grouped(asked, "attempts", 2, dataset, 0.0))
    assert sum(len(group.users) for group in groups) == 4 * 3
    # Strangers are asked about with all their sessions.
    for group in assessment._grouped(asked, "strangers", 2, dataset, 0.0):
        assert (group.places < 0).sum() == len(group.users) == 3
