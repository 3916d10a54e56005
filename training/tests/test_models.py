"""What there is of models, and how each is fitted and asked."""

import json

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC

from keystroke_training import trees
from keystroke_training.fusion import Fusion
from keystroke_training.models import (
    MODELS,
    REFERENCES,
    fit_models,
    predict,
    score,
    svm_parts,
)
from keystroke_training.summary import Summary


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(trees, "TREES", 10)


@pytest.fixture
def fitted(make_dataset):
    dataset = make_dataset(repetitions=[3, 4, 2], keys=4)
    return dataset, fit_models(MODELS, dataset.features, dataset.targets, 1, 4)


def test_the_references_come_first_and_members_before_what_is_made_of_them():
    assert [model.name for model in REFERENCES] == ["svm", "rf", "xgb"]
    names = [model.name for model in MODELS]
    assert names == ["svm", "rf", "xgb", "summary", "templates", "trees", "best"]
    for model in MODELS:
        assert all(names.index(member) < names.index(model.name) for member in model.members)
        assert (model.export is None) == bool(model.members)


def test_each_is_fitted_on_rows_of_its_kind(fitted):
    dataset, estimators = fitted
    for model in MODELS:
        rows = dataset.features[model.features]
        assert score(estimators[model.name], rows).shape == (9, 3)
        assert predict(estimators[model.name], rows).shape == (9,)


def test_the_references_are_the_libraries_own_with_what_matters_said(fitted):
    dataset, estimators = fitted
    rows = dataset.rows
    defaults = SVC().fit(rows, dataset.targets)
    assert np.array_equal(defaults.dual_coef_, estimators["svm"].dual_coef_)
    defaults = RandomForestClassifier(random_state=1).fit(rows, dataset.targets)
    assert np.array_equal(defaults.predict_proba(rows), score(estimators["rf"], rows))


def test_summary_knows_how_many_keys_there_are(fitted):
    dataset, estimators = fitted
    expected = Summary(4).fit(dataset.rows, dataset.targets).predict_proba(dataset.rows)
    assert np.array_equal(score(estimators["summary"], dataset.rows), expected)


def test_best_is_made_of_the_fitted_templates_and_trees(fitted):
    _, estimators = fitted
    assert isinstance(estimators["best"], Fusion)
    assert estimators["best"].members == (estimators["templates"], estimators["trees"])


def test_scores_of_raw_models_are_evidence(fitted):
    dataset, estimators = fitted
    rows = dataset.features["timings"]
    for name in ("templates", "trees", "best"):
        evidence = estimators[name].evidence(rows)
        assert np.array_equal(score(estimators[name], rows), evidence)
        assert np.array_equal(predict(estimators[name], rows), evidence.argmax(axis=1))


def test_two_users_of_a_support_vector_machine_have_a_margin_each(make_dataset):
    dataset = make_dataset(users=["1", "2"], repetitions=[4, 4])
    svm = REFERENCES[0].fit(dataset.rows, dataset.targets, 1, 5)
    margins = svm.decision_function(dataset.rows)
    assert np.array_equal(score(svm, dataset.rows), np.stack([-margins, margins], axis=1))


def test_rows_for_a_support_vector_machine_come_in_parts():
    rows = np.arange(8 * 1500.0).reshape(1500, 8)
    parts = svm_parts(rows)
    assert max(map(len, parts)) <= 512
    assert np.array_equal(np.concatenate(parts), rows)


def test_the_seed_is_of_trees(make_dataset):
    dataset = make_dataset()
    rows = 1.05 * dataset.features["timings"]
    one, same, other = (
        fit_models([MODELS[5]], dataset.features, dataset.targets, seed, 5)["trees"]
        for seed in (1, 1, 2)
    )
    assert np.array_equal(score(one, rows), score(same, rows))
    assert not np.array_equal(score(one, rows), score(other, rows))


def test_parameters_are_json(fitted):
    _, estimators = fitted
    for model in MODELS:
        told = model.parameters(estimators[model.name])
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert "estimator" in told
    assert MODELS[4].parameters(estimators["templates"])["weights"] == int(
        (estimators["templates"].weights > 0).sum()
    )


def test_an_svms_gamma_is_what_scale_means_to_scikit_learn(make_dataset):
    rows = make_dataset().rows
    svm = REFERENCES[0].make(rows, 1, 5)
    assert svm.gamma == 1 / (8 * rows.var())
    assert REFERENCES[0].make(np.ones((4, 8)), 1, 5).gamma == 1.0
