"""Which models are asked about which typings, and what they answer."""

from dataclasses import replace

import numpy as np
import pytest

from keystroke_training import evaluate
from keystroke_training.data import DataError
from keystroke_training.disturbances import DISTURBANCES
from keystroke_training.enrolment_trial import enrol, splits
from keystroke_training.evaluate import (
    Trial,
    ask,
    lay_out,
    rank_candidates,
    run,
    stranger_folds,
)
from keystroke_training.models import MODELS, fit_models

NAMES = [model.name for model in MODELS]
OURS = ("templates", "trees", "best")
TEN = [str(user) for user in range(1, 11)]


def trials_for(trials, purpose):
    return [trial for trial in trials if trial.purpose == purpose]


def in_sessions(dataset, size):
    """The same typings, so many of each user in a session."""
    return replace(dataset, sessions=1 + dataset.repetitions // size)


@pytest.fixture
def ten(make_dataset):
    """Ten users of 2 to 13 typings."""
    return make_dataset(users=TEN, repetitions=[2, 13, 8, 9, 3, 12, 8, 8, 4, 9])


@pytest.mark.parametrize(
    ("label", "scores", "true", "rank"),
    [
        (2, [0.1, 0.2, 0.7], 2, 1),
        (2, [0.1, 0.2, 0.7], 1, 2),
        (2, [0.1, 0.2, 0.7], 0, 3),
        (0, [0.1, 0.2, 0.7], 0, 1),  # the label is first, whatever its score
        (0, [0.1, 0.2, 0.7], 2, 2),
        (0, [0.1, 0.2, 0.7], 1, 3),
        (2, [0.3, 0.3, 0.4], 0, 2),  # the lower class is first among equals
        (2, [0.3, 0.3, 0.4], 1, 3),
        (2, [0.3, 0.3 + 1e-12, 0.4], 0, 2),  # equal in the float32 that the service sees
        (1, [-900.0, -3.0, -900.0], 2, 3),
    ],
)
def test_ranks_follow_the_services_order(label, scores, true, rank):
    ranks = rank_candidates(np.array([label]), np.array([scores]), np.array([true]))
    assert ranks.tolist() == [rank]


def test_rows_are_narrowed_as_the_service_narrows_them():
    seen = []

    class Witness:
        def predict(self, rows):
            seen.append(rows)
            return np.array([0])

        def predict_proba(self, rows):
            seen.append(rows)
            return np.array([[0.7, 0.3]])

    predicted, scores = ask(Witness(), np.full((1, 8), 0.1))
    assert (predicted.tolist(), scores.tolist()) == ([0], [[0.7, 0.3]])
    assert [rows.tolist() for rows in seen] == [[[float(np.float32(0.1))] * 8]] * 2


@pytest.mark.parametrize("sessions", [False, True])
def test_no_row_is_fitted_on_and_asked_about_at_once(ten, sessions):
    dataset = in_sessions(ten, 1) if sessions else ten
    for trial in lay_out(dataset, NAMES):
        assert len(trial.train) > 0
        assert len(trial.test) > 0
        assert not np.isin(trial.train, trial.test).any()


def test_no_session_is_fitted_on_and_asked_about_at_once(make_dataset):
    repetitions = [24, 9, 13, 9, 24, 9, 12, 9, 10, 12]
    dataset = in_sessions(make_dataset(users=TEN, repetitions=repetitions), 3)
    trials = lay_out(dataset, NAMES)
    assert {trial.purpose for trial in trials} == {
        *("held out", "later", "attempts", "strangers", "enrolment")
    }
    for trial in trials:
        sessions = [
            set(zip(dataset.targets[rows], dataset.sessions[rows], strict=True))
            for rows in (trial.train, trial.test)
        ]
        assert not sessions[0] & sessions[1]


def test_every_row_is_held_out_once_by_each_model(ten):
    trials = trials_for(lay_out(ten, NAMES), "held out")
    for names in [("svm",), ("rf",), ("xgb",), ("summary",), OURS]:
        own = [trial for trial in trials if trial.names == names]
        assert len(own) == 10
        asked = np.concatenate([trial.test for trial in own])
        assert sorted(asked) == list(range(len(ten.targets)))
        for trial in own:
            assert len(trial.train) + len(trial.test) == len(ten.targets)
            assert set(ten.targets[trial.train]) == set(range(10))


def test_there_are_as_many_folds_as_wanted(ten):
    assert len(trials_for(lay_out(ten, ["rf"], 3), "held out")) == 3
    with pytest.raises(DataError, match="14 folds"):
        lay_out(ten, ["rf"], 14)


def test_reference_models_are_asked_about_held_out_rows_only(ten):
    assert {trial.purpose for trial in lay_out(ten, ["svm", "summary"])} == {"held out"}


def test_models_that_are_not_wanted_are_in_no_trial(ten):
    trials = lay_out(ten, ["rf", "trees"])
    assert {name for trial in trials for name in trial.names} == {"rf", "trees"}
    assert not trials_for(trials, "enrolment")


def test_the_last_quarter_of_everybodys_typings_is_later(ten):
    (trial,) = trials_for(lay_out(ten, NAMES), "later")
    last = [
        row
        for row, (user, place) in enumerate(zip(ten.targets, ten.repetitions, strict=True))
        if place >= ten.repetition_counts[user] - ten.repetition_counts[user] // 4
    ]
    assert trial.test.tolist() == last
    assert set(ten.targets[trial.train]) == set(range(10))


def test_two_or_four_typings_in_a_row_are_held_out_together(make_dataset):
    dataset = make_dataset(users=TEN[:3], repetitions=[2, 5, 11])
    trials = trials_for(lay_out(dataset, NAMES), "attempts")
    held = {2: set(), 4: set()}
    left_one = []
    for trial in trials:
        own = [dataset.repetitions[trial.test][dataset.targets[trial.test] == u] for u in range(3)]
        left_one.append(own[0].tolist())
        if trial.attempts == 4:
            assert own[1].tolist() in ([0, 1, 2, 3], [])
        for place in own[2].tolist():
            start = place // trial.attempts * trial.attempts
            assert set(range(start, start + trial.attempts)) <= set(own[2].tolist())
        held[trial.attempts] |= set(own[2].tolist())
    assert held == {2: set(range(10)), 4: set(range(8))}
    # Who has no more than two is left one, and counts once.
    assert sorted(left_one) == [[], [], [], [], [0], [0]]


def test_strangers_are_in_no_training_rows_and_everyone_is_one_in_turn(ten):
    trials = trials_for(lay_out(ten, NAMES), "strangers")
    for trial in trials:
        known = set(ten.targets[trial.train])
        strangers = set(np.flatnonzero(stranger_folds(10) == trial.fold))
        assert known == set(range(10)) - strangers
        # All that strangers typed is asked about, and all that others typed fitted on.
        asked = np.isin(ten.targets, [*strangers])
        assert np.array_equal(np.flatnonzero(asked), trial.test)
        assert np.array_equal(np.flatnonzero(~asked), trial.train)
    assert {trial.fold for trial in trials} == {0, 1, 2, 3}


@pytest.mark.parametrize("users", range(3, 14))
def test_two_users_at_least_stay_known(users):
    folds = stranger_folds(users)
    assert len(folds) == users
    assert np.bincount(folds).min() >= 1
    assert users - np.bincount(folds).max() >= 2


def test_of_two_users_nobody_is_a_stranger(make_dataset):
    dataset = make_dataset(users=["1", "2"], repetitions=[9, 9])
    assert stranger_folds(2).tolist() == [-1, -1]
    assert not trials_for(lay_out(dataset, NAMES), "strangers")
    assert not trials_for(lay_out(dataset, NAMES), "enrolment")


def test_users_enrol_with_templates_that_were_fitted_without_them(make_dataset):
    dataset = make_dataset(users=TEN, repetitions=[4, 5, 6, 7, 8] * 2)
    trials = trials_for(lay_out(dataset, NAMES), "enrolment")
    assert [trial.fold for trial in trials] == list(range(10))
    for trial, unseen in zip(trials, splits(dataset), strict=True):
        assert trial.names == ("templates",)
        assert trial.test.tolist() == np.flatnonzero(unseen).tolist()
        assert sorted([*trial.train, *trial.test]) == list(range(60))
    assert not trials_for(lay_out(dataset, ["trees"]), "enrolment")


@pytest.mark.usefixtures("quick")
def test_answers_are_those_of_models_that_saw_the_training_rows_only(make_dataset):
    dataset = make_dataset(repetitions=[2, 5, 4], keys=4)
    evaluate._receive(dataset, 3)
    trials = [
        trial for trial in lay_out(dataset, NAMES) if trial.purpose in ("held out", "strangers")
    ]
    for trial in trials[::3]:
        answers = evaluate._run_trial(trial)
        assert set(answers) == set(trial.names)
        known = sorted(set(dataset.targets[trial.train]))
        targets = np.array([known.index(target) for target in dataset.targets[trial.train]])
        models = [model for model in MODELS if model.name in trial.names]
        rows = {name: values[trial.train] for name, values in dataset.features.items()}
        fitted = fit_models(models, rows, targets, 3, 4)
        for model in models:
            found, values = answers[model.name], dataset.features[model.features]
            predicted, scores = ask(fitted[model.name], values[trial.test])
            assert found.known.tolist() == known
            assert found.predicted.tolist() == [known[place] for place in predicted]
            assert np.array_equal(found.scores, scores.astype(np.float32))
            if trial.purpose == "strangers":
                assert (found.top_scores, found.disturbed) == (None, {})
                continue
            top = ask(fitted[model.name], values[trial.train])[1]
            assert np.array_equal(found.top_scores, top.astype(np.float32))
            assert set(found.disturbed) == set(DISTURBANCES)
            changed = DISTURBANCES["jitter 8 ms"](dataset, trial.test).features[model.features]
            ranks = rank_candidates(*ask(fitted[model.name], changed), dataset.targets[trial.test])
            assert np.array_equal(found.disturbed["jitter 8 ms"], ranks)


def test_users_enrol_in_a_trial_of_its_own(make_dataset):
    dataset = make_dataset(users=TEN, repetitions=[4] * 10, keys=4)
    trial = trials_for(lay_out(dataset, ["templates"]), "enrolment")[3]
    evaluate._receive(dataset, 1)
    found = evaluate._run_trial(trial)["templates"]
    expected = enrol(dataset, trial.train, trial.test, 3)
    assert found.same_user == expected.same_user
    assert [setting for setting, _ in found.claims] == [setting for setting, _ in expected.claims]


def test_trials_have_the_same_answers_in_workers_as_here(make_dataset, capsys):
    dataset = make_dataset(repetitions=[2, 3, 2], keys=3)
    trials = lay_out(dataset, ["svm", "templates"])[:4]
    evaluate._receive(dataset, 1)
    found = list(run(trials, dataset, 1))
    assert sorted(map(id, trials)) == sorted(id(trial) for trial, _ in found)
    for trial, answers in found:
        expected = evaluate._run_trial(trial)
        for name in trial.names:
            assert np.array_equal(answers[name].scores, expected[name].scores)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[2] for line in lines] == [f"{n} of 4)" for n in range(1, 5)]


def test_a_trial_is_of_known_users_and_one_attempt_unless_it_says_so():
    trial = Trial("held out", ("rf",), np.array([0]), np.array([1]))
    assert (trial.attempts, trial.fold) == (1, -1)
