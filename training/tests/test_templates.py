"""Templates of raw timings, against a slow version of every formula."""

import numpy as np
import pytest

from keystroke_training import templates
from keystroke_training.calibration import learn_weights, log_softmax, more_typings
from keystroke_training.features import timing_names
from keystroke_training.templates import Templates, alike, expand, expansion

MANY = [str(user) for user in range(20)]


def fit(dataset):
    return Templates().fit(dataset.features["timings"], dataset.targets)


def mean_deviation(values, location):
    return sum(abs(value - location) for value in values) / (len(values) - 1)


class Slow:
    """One feature at a time: `users` are lists of the typings of each."""

    def __init__(self, users):
        self.median = np.median(np.concatenate(users))
        several = [own for own in users if len(own) > 1]
        medians = [np.median(own) for own in several]
        deviations = [mean_deviation(own, np.median(own)) for own in several]
        self.deviation = max(np.mean(deviations), 1e-3)
        self.middle = np.mean(medians)
        ratios = [np.log(max(deviation / self.deviation, 0.1)) for deviation in deviations]
        squares = sum((median - self.middle) ** 2 for median in medians)
        squares += 5 * np.var(medians)  # as if by five users more
        products = sum(
            (median - self.middle) * (ratio - np.mean(ratios))
            for median, ratio in zip(medians, ratios, strict=True)
        )
        self.slope = min(max(products / squares, -1), 1)

    def location(self, own):
        place = np.median(own)
        for _ in range(5 if len(own) > 2 else 0):
            weights = [1 / (1 + ((value - place) / self.deviation) ** 2 / 2) for value in own]
            place = np.average(own, weights=weights)
        return place

    def centre(self, own):
        return (len(own) * self.location(own) + 0.3 * self.median) / (len(own) + 0.3)

    def expected(self, own):
        return self.deviation * np.exp(self.slope * (self.centre(own) - self.middle))

    def ratio(self, own):
        ratio = mean_deviation(own, self.location(own)) / self.expected(own)
        return np.log(min(max(ratio, 0.2), 4))


def slow_template(features, user):
    """Centres and spreads of one user, from a `Slow` and the typings of each user by feature."""
    own = [users[user] for _, users in features]
    centres = [slow.centre(values) for (slow, _), values in zip(features, own, strict=True)]
    expected = [slow.expected(values) for (slow, _), values in zip(features, own, strict=True)]
    count = len(own[0])
    if count == 1:
        return np.array(centres), np.array(expected)
    ratios = [slow.ratio(values) for (slow, _), values in zip(features, own, strict=True)]
    general = np.mean(ratios)
    spreads = [
        spread * np.exp(count / (count + 1) * (1.1 * general + 0.5 * (ratio - general)))
        for spread, ratio in zip(expected, ratios, strict=True)
    ]
    return np.array(centres), np.array(spreads)


def slow_features(values, targets):
    by_feature = []
    for column in values.T:
        users = [column[targets == user] for user in range(targets.max() + 1)]
        by_feature.append((Slow(users), users))
    return by_feature


def slow_densities(row, centre, spread):
    distance = (row - centre) / spread
    return -1.5 * np.log(1 + distance**2 / 2) - np.log(spread)


@pytest.fixture
def unequal(make_dataset):
    return make_dataset(users=MANY[:5], repetitions=[4, 1 + 1, 9, 3, 5], keys=4)


def test_rows_are_followed_by_the_changes_from_key_to_key(make_dataset):
    rows = make_dataset(keys=5).features["timings"]
    names = timing_names(5)
    by_name = dict(zip(names, rows.T, strict=True))
    changes = [
        by_name[f"{name}[{key + 1}]"] - by_name[f"{name}[{key}]"]
        for name, count in (("logHT", 5), ("logPPT", 4), ("asinhRPT", 4))
        for key in range(count - 1)
    ]
    found = expand(rows)
    assert found.shape[1] == 9 * 5 - 7
    np.testing.assert_allclose(found, np.column_stack([rows, *changes]), atol=1e-12)
    assert set(np.unique(expansion(28))) == {-1, 0, 1}


def test_two_keys_have_a_change_of_the_hold_only():
    assert expansion(10).shape == (10, 11)


def test_templates_are_those_of_the_slow_version(unequal):
    model, values = fit(unequal), expand(unequal.features["timings"])
    features = slow_features(values, unequal.targets)
    for user in range(5):
        centre, spread = slow_template(features, user)
        np.testing.assert_allclose(model.centres[user], centre, rtol=2e-6, atol=1e-7)
        np.testing.assert_allclose(model.spreads[user], spread, rtol=2e-6)


def test_a_user_of_one_typing_varies_as_the_population_leads_to_expect(unequal):
    lone = np.flatnonzero((unequal.targets != 1) | (unequal.repetitions == 0))
    rows, targets = unequal.features["timings"][lone], unequal.targets[lone]
    model = Templates().fit(rows, targets)
    centre, spread = slow_template(slow_features(expand(rows), targets), 1)
    np.testing.assert_allclose(model.centres[1], centre, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(model.spreads[1], spread, rtol=2e-6)
    assert not (targets[model.held_out_rows] == 1).any()


def test_evidence_is_a_weighted_sum_of_students_densities(unequal):
    model, rows = fit(unequal), unequal.features["timings"]
    found = model.evidence(rows)
    for row, evidence in zip(expand(rows), found, strict=True):
        for user in range(5):
            densities = slow_densities(row, model.centres[user], model.spreads[user])
            assert evidence[user] == pytest.approx(densities @ model.weights, abs=1e-9)


def test_a_row_has_the_same_evidence_alone_and_among_others(make_dataset):
    dataset = make_dataset(repetitions=[30, 20, 10])
    model, rows = fit(dataset), dataset.features["timings"]
    alone = np.concatenate([model.evidence(row[np.newaxis]) for row in rows])
    np.testing.assert_allclose(model.evidence(rows), alone, rtol=1e-12)


def test_a_row_is_held_out_of_its_users_template_and_of_no_other(unequal):
    model, values = fit(unequal), expand(unequal.features["timings"])
    assert model.held_out_rows.tolist() == list(range(len(values)))
    densities = model._held_out_densities(values, unequal.targets)
    for row in range(len(values)):
        own = unequal.targets[row]
        rest = (unequal.targets == own) & (np.arange(len(values)) != row)
        for user in range(5):
            centre, spread = model.centres[user], model.spreads[user]
            if user == own:
                centre, spread = model.template(values[rest])
            expected = slow_densities(values[row], centre, spread)
            np.testing.assert_allclose(densities[row, user], expected, atol=2e-3)


def test_weights_are_learned_from_held_out_rows_and_made_honest(make_dataset):
    dataset = make_dataset(users=MANY[:8], repetitions=[5] * 8, keys=4)
    model, values = fit(dataset), expand(dataset.features["timings"])
    densities = model._held_out_densities(values, dataset.targets)

    def learned(rows):
        weights = learn_weights(densities[rows], dataset.targets[rows], templates.RIDGE, 0.15)
        order = np.argsort(-weights, kind="stable")
        for start in range(0, (weights > 0).sum(), 3):  # three after each other share a weight
            group = [kind for kind in order[start : start + 3] if weights[kind] > 0]
            weights[group] = weights[group].mean()
        return weights

    # The held-out evidence of users 0, 4 is weighed by all others' rows, and so on.
    evidence = np.zeros((40, 8))
    for part in range(4):
        out = dataset.targets % 4 == part
        evidence[out] = densities[out] @ learned(~out)
    scale = learn_weights(evidence[..., np.newaxis], dataset.targets)[0]
    np.testing.assert_allclose(model.held_out_evidence, scale * evidence, atol=1e-9)
    expected = more_typings(dataset.targets) * scale * learned(np.ones(40, bool))
    np.testing.assert_allclose(model.weights, expected, atol=1e-12)
    assert (model.weights >= 0).all()
    assert 0 < (model.weights > 0).sum() < len(model.weights)


def test_features_of_nearly_the_same_weight_are_together():
    groups = alike(np.array([0.1, 0, 0.5, 0.3, 0.5, 0, 0.2]))
    assert [group.tolist() for group in groups] == [[2, 4, 3], [6, 0]]
    assert alike(np.zeros(4)) == []


def test_users_whom_the_model_was_not_fitted_on_are_enrolled_with_their_rows(unequal):
    model, rows = fit(unequal), unequal.features["timings"]
    enrolled = model.templates([expand(rows[unequal.targets == user]) for user in (3, 2)])
    # Known ones, enrolled with the rows they are known by, have the evidence they have.
    np.testing.assert_allclose(
        model.compare(expand(rows), *enrolled), model.evidence(rows)[:, [3, 2]], rtol=1e-9
    )


def test_where_nobody_typed_twice_all_features_count_alike(make_dataset):
    dataset = make_dataset()
    first = dataset.repetitions == 0
    rows, targets = dataset.features["timings"][first], dataset.targets[first]
    model = Templates().fit(rows, targets)
    assert model.held_out_rows.tolist() == []
    assert model.held_out_evidence.shape == (0, 3)
    assert set(model.weights) == {0.15 * more_typings(targets)}
    assert model.evidence(rows).argmax(axis=1).tolist() == [0, 1, 2]


def test_users_who_type_the_same_have_the_same_evidence(make_dataset):
    rows = np.tile(make_dataset().features["timings"][:1], (9, 1))
    model = Templates().fit(rows, np.repeat([0, 1, 2], 3))
    evidence = model.evidence(np.concatenate([rows, rows * 1.1]))
    assert np.isfinite(evidence).all()
    assert np.array_equal(evidence, evidence[:, :1].repeat(3, axis=1))


def test_where_nothing_tells_users_apart_all_features_count_alike():
    densities = np.zeros((6, 3, 4))
    densities[np.arange(6), np.arange(6) % 3] = -1  # the true user looks least likely
    assert templates._learn(densities, np.arange(6) % 3).tolist() == [0.15] * 4


def test_so_many_rows_are_learned_from_and_they_are_spread_out(make_dataset, monkeypatch):
    monkeypatch.setattr(templates, "MAX_LEARNING_ROWS", 7)
    dataset = make_dataset(repetitions=[10, 10, 11])
    assert fit(dataset).held_out_rows.tolist() == [0, 5, 10, 15, 20, 25, 30]


def test_what_is_learned_from_fits_into_memory(make_dataset, monkeypatch):
    dataset = make_dataset(repetitions=[10, 10, 10])
    monkeypatch.setattr(templates, "MAX_LEARNING_SIZE", 3 * (9 * 5 - 7) * 12)
    assert len(fit(dataset).held_out_rows) == 12


def test_unseen_typings_are_recognised_and_the_posterior_is_honest(make_dataset):
    dataset = make_dataset(users=MANY, repetitions=[6] * 20, keys=8, noise=25.0)
    rows, posterior = dataset.features["timings"], np.zeros((120, 20))
    for repetition in range(6):
        out = dataset.repetitions == repetition
        model = Templates().fit(rows[~out], dataset.targets[~out])
        posterior[out] = np.exp(log_softmax(model.evidence(rows[out])))
    hit = posterior.argmax(axis=1) == dataset.targets
    assert hit.mean() > 0.4  # by chance 0.05
    assert posterior.max(axis=1).mean() == pytest.approx(hit.mean(), abs=0.08)


def test_fits_repeat(unequal):
    first, second = fit(unequal), fit(unequal)
    assert np.array_equal(first.weights, second.weights)
    assert np.array_equal(first.spreads, second.spreads)
