"""The model of the eight numbers, and its exported file."""

import numpy as np
import pytest

from keystroke_training.export.summary import export_summary
from keystroke_training.features import features
from keystroke_training.parity import perturbed_rows
from keystroke_training.runtime import answer, open_session
from keystroke_training.summary import EXPRESSED, Summary, calibrating_factor, express

MANY = [str(user) for user in range(30)]


def fit(dataset):
    return Summary(dataset.press.shape[1]).fit(dataset.rows, dataset.targets)


def assert_agrees(estimator, rows, classes):
    """The exported file answers as the estimator, on the rows and on twisted ones."""
    inputs = np.concatenate([rows.astype(np.float32), perturbed_rows(rows, 2000, seed=5)])
    labels, scores = answer(open_session(export_summary(estimator, classes)), inputs)
    wide = inputs.astype(np.float64)
    assert [classes[target] for target in estimator.predict(wide)] == labels.tolist()
    np.testing.assert_allclose(scores, estimator.predict_proba(wide), rtol=0, atol=1e-6)


def held_out_posteriors(dataset):
    """Posteriors of every row by a model that was fitted without its repetition."""
    posteriors = np.zeros((len(dataset.targets), len(dataset.classes)))
    for repetition in range(dataset.repetitions.max() + 1):
        out = dataset.repetitions == repetition
        estimator = Summary(dataset.press.shape[1])
        estimator.fit(dataset.rows[~out], dataset.targets[~out])
        narrowed = dataset.rows[out].astype(np.float32).astype(np.float64)
        posteriors[out] = estimator.predict_proba(narrowed)
    return posteriors


@pytest.mark.parametrize("keys", [3, 5, 13])
def test_the_features_are_those_of_the_timings(keys):
    random = np.random.default_rng(3)
    press = np.cumsum(random.integers(30, 400, (200, keys)), axis=1).astype(float)
    hold = random.integers(0, 250, press.shape).astype(float)
    found = dict(zip(EXPRESSED, express(features(press, press + hold), keys).T, strict=True))
    steps = np.diff(press, axis=1)
    gaps = press[:, 1:] - (press + hold)[:, :-1]
    inner = hold[:, 1:-1]

    def fisher(one, other):
        covariance = ((one - one.mean(1, keepdims=True)) * other).mean(axis=1)
        ratio = covariance / np.sqrt((one.var(axis=1) + 1) * (other.var(axis=1) + 1))
        return np.arctanh(np.clip(ratio, -0.98, 0.98))

    expected = {
        "log PPT mean": np.log(steps.mean(axis=1)),
        "log PPT spread relative to the mean": np.log(np.maximum(steps.std(axis=1), 4))
        - np.log(steps.mean(axis=1)),
        "log mean of the inner holds": np.log(np.maximum(inner.mean(axis=1), 10)),
        "log spread of the inner holds": np.log(np.maximum(inner.std(axis=1), 4)),
        "first hold": hold[:, 0] / 40,
        "last hold": hold[:, -1] / 30,
        "correlation of press-press with the hold in it": fisher(steps, hold[:, :-1]),
        "correlation of release-press with the hold after it": fisher(gaps, hold[:, 1:]),
        "reciprocal of the PPT spread": 20 / np.maximum(steps.std(axis=1), 10),
        "whether the first hold is a real one": np.minimum(hold[:, 0] / 30, 1),
    }
    assert list(expected) == list(found)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-6, err_msg=name)


def test_two_keys_have_features_too():
    press, hold = np.array([[0.0, 150.0]]), np.array([[90.0, 120.0]])
    found = dict(zip(EXPRESSED, express(features(press, press + hold), 2)[0], strict=True))
    assert found["log PPT mean"] == pytest.approx(np.log(150))
    assert found["first hold"] == pytest.approx(90 / 40)
    assert found["last hold"] == pytest.approx(120 / 30)
    assert found["log mean of the inner holds"] == pytest.approx(np.log(10))  # a constant
    assert np.isfinite(list(found.values())).all()


@pytest.mark.parametrize("size", [0, 1, -1, 1e3, 1e9, -1e30, 3e37])
def test_impossible_numbers_have_finite_answers(make_dataset, size):
    dataset = make_dataset()
    rows = size * np.array([np.ones(8), [1, 0] * 4, [0, 1] * 4, [-1, 1, 1, -1, 3, 2, -5, 9]])
    rows = rows.astype(np.float32)
    estimator = fit(dataset)
    posterior = estimator.predict_proba(rows.astype(np.float64))
    assert np.isfinite(posterior).all()
    _, scores = answer(open_session(export_summary(estimator, dataset.classes)), rows)
    np.testing.assert_allclose(scores, posterior, rtol=0, atol=1e-5)


def test_unseen_typings_are_recognised_and_the_posterior_is_honest(make_dataset):
    dataset = make_dataset(users=MANY, repetitions=[6] * 30, keys=8, noise=15.0)
    posteriors = held_out_posteriors(dataset)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    hit = posteriors.argmax(axis=1) == dataset.targets
    assert hit.mean() > 0.5
    assert posteriors.max(axis=1).mean() == pytest.approx(hit.mean(), abs=0.08)
    own = np.take_along_axis(posteriors, dataset.targets[:, np.newaxis], axis=1)
    assert -np.log(own).mean() < 1.5


def test_the_factor_makes_the_softmax_as_likely_as_it_is_true():
    random = np.random.default_rng(4)
    scores = random.normal(0, 3, (4000, 6))
    # The greatest of scores plus Gumbel noise is each class as often as their softmax says.
    targets = (0.5 * scores + random.gumbel(size=scores.shape)).argmax(axis=1)
    assert calibrating_factor(scores, targets) == pytest.approx(0.5, rel=0.1)


def test_a_few_typings_that_were_all_recognised_do_not_make_certainty():
    assert 1 < calibrating_factor(4 * np.eye(3), np.arange(3)) < 2


def test_the_correction_makes_held_out_typings_likelier(make_dataset):
    # Users of two habits each: no normal distribution says where they are.
    random = np.random.default_rng(2)
    targets = np.repeat(np.arange(12), 10)
    dataset = make_dataset(users=MANY[:24], repetitions=[10] * 24, keys=6, noise=8.0)
    habit = np.where(np.arange(120) % 2, targets, 23 - targets)
    places = [random.choice(np.flatnonzero(dataset.targets == user)) for user in habit]
    rows, probes = dataset.rows[places], random.permutation(120) < 40
    assert np.bincount(targets[~probes], minlength=12).min() >= 2
    estimator = Summary(6).fit(rows[~probes], targets[~probes])
    corrected = estimator.predict(rows[probes])
    estimator.correction = None
    plain = estimator.predict(rows[probes])
    assert (corrected == targets[probes]).sum() > (plain == targets[probes]).sum()


@pytest.mark.parametrize(
    ("repetitions", "keys"),
    [
        ((2, 2), 5),
        ((2, 9), 2),
        ((2, 2), 2),
        ((6, 6, 6), 3),
        ((3, 12, 2, 25), 13),
        ((5,) * 30, 8),
    ],
    ids=str,
)
def test_the_file_answers_as_the_estimator(make_dataset, repetitions, keys):
    users = MANY[: len(repetitions)]
    dataset = make_dataset(users=users, repetitions=repetitions, keys=keys)
    assert_agrees(fit(dataset), dataset.rows, dataset.classes)


def test_string_classes_are_answered_as_they_are(make_dataset):
    dataset = make_dataset(users=["a", "amélie", "007x"])
    assert_agrees(fit(dataset), dataset.rows, dataset.classes)


def test_users_who_type_the_same_are_equally_likely(make_dataset):
    rows = np.tile(make_dataset().rows[:1], (9, 1))
    estimator = Summary(5).fit(rows, np.repeat([0, 1, 2], 3))
    np.testing.assert_allclose(estimator.predict_proba(rows), 1 / 3, rtol=1e-6)
    _, scores = answer(
        open_session(export_summary(estimator, [1, 2, 3])), perturbed_rows(rows, 100, seed=5)
    )
    np.testing.assert_allclose(scores, 1 / 3, rtol=1e-5)


def test_the_lowest_class_wins_a_tie(make_dataset):
    dataset = make_dataset()
    estimator = fit(dataset)
    estimator.factor = 0.0
    labels, _ = answer(
        open_session(export_summary(estimator, dataset.classes)), dataset.rows.astype(np.float32)
    )
    assert set(labels.tolist()) == {dataset.classes[0]}
    assert not estimator.predict(dataset.rows).any()


def test_typings_without_any_spread_can_be_learned():
    """Machines: every hold, gap and repetition equal."""
    times = np.repeat([[100.0, 60.0], [180.0, 90.0], [180.0, 40.0]], 3, axis=0)
    press = times[:, :1] * np.arange(6)
    rows, targets = features(press, press + times[:, 1:]), np.repeat([0, 1, 2], 3)
    estimator = Summary(6).fit(rows, targets)
    assert np.array_equal(estimator.predict(rows), targets)
    assert_agrees(estimator, rows, [1, 2, 3])


def test_fits_repeat(make_dataset):
    dataset = make_dataset(users=MANY, repetitions=[4] * 30)
    files = [
        export_summary(Summary(5).fit(dataset.rows, dataset.targets), dataset.classes)
        for _ in range(2)
    ]
    assert files[0] == files[1]


def test_rounding_of_the_numbers_hardly_matters(make_dataset):
    dataset = make_dataset(users=MANY, repetitions=[6] * 30, keys=13)
    estimator = fit(dataset)
    exact = estimator.predict_proba(dataset.rows)
    narrowed = estimator.predict_proba(dataset.rows.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(narrowed, exact, rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        estimator.predict_proba(dataset.rows.round(2)), exact, rtol=0, atol=0.05
    )


def test_real_users_are_recognised(real_dataset):
    posteriors = held_out_posteriors(real_dataset)
    targets = real_dataset.targets
    own = np.take_along_axis(posteriors, targets[:, np.newaxis], axis=1)
    ranks = 1 + (posteriors > own).sum(axis=1)
    # Measured: 0.382, 0.723 and 2.228, of 110 users.
    assert (ranks == 1).mean() > 0.37
    assert (ranks <= 5).mean() > 0.71
    assert -np.log(own).mean() < 2.26
    assert posteriors.max(axis=1).mean() == pytest.approx((ranks == 1).mean(), abs=0.04)
