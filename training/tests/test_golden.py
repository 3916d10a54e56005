"""golden.json: made up, exact and small."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from keystroke_training import golden as golden_module
from keystroke_training import trees
from keystroke_training.features import features, timing_features
from keystroke_training.golden import check_row, golden_json, known_answers, made_up_rows
from keystroke_training.models import MODELS, fit_models, predict, score

KINDS = {"summary": "rows", "timings": "timingRows"}


def decision(correlation=0.25):
    """A decision of weights that all differ, for up to three attempts."""
    points = [{"attempts": attempts} for attempts in (1, 2, 3)]
    return {
        "correlation": correlation,
        "identification": {"own": 1.0, "cohort": 0.8, "temperature": 2.0, "points": points},
        "verification": {"own": 0.9, "cohort": 0.7, "temperature": 3.0, "points": points},
    }


DECISIONS = {"trees": decision(0.5), "best": decision()}


def fit(dataset, models=MODELS):
    keys = dataset.press.shape[1]
    return fit_models(models, dataset.features, dataset.targets, 1, keys)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    from keystroke_training.data import read_dataset
    from tests.typings import made_up_csv

    path = tmp_path_factory.mktemp("golden") / "typings.csv"
    path.write_text(made_up_csv(keys=13), "utf-8")
    dataset = read_dataset(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "TREES", 20)
        estimators = fit(dataset)
    answers = known_answers(dataset, MODELS, estimators, DECISIONS, seed=1)
    return dataset, estimators, json.loads(golden_json(answers))


def test_typings_have_their_features_bit_by_bit(fitted):
    for typing in fitted[2]["keystrokes"]:
        press, release = (
            np.array([[stroke[event] for stroke in typing["keystrokes"]]])
            for event in ("press", "release")
        )
        assert press.shape == (1, 13)
        assert (np.diff(press) >= 0).all()
        assert (release >= press).all()
        assert features(press, release)[0].tolist() == typing["features"]
        assert timing_features(press, release)[0].tolist() == typing["timings"]


def test_typings_hold_every_kind_of_difficulty(fitted):
    typings = fitted[2]["keystrokes"]
    strokes = [[(s["press"], s["release"]) for s in typing["keystrokes"]] for typing in typings]
    pairs = [pair for typing in strokes for pair in pairwise(typing)]
    assert len(typings) == 50
    assert any(release == press for typing in strokes for press, release in typing)
    assert any(after[0] < before[1] for before, after in pairs), "rollover"
    assert any(after[1] < before[1] for before, after in pairs), "a negative RRT"
    assert any(typing[0][0] > 1e12 for typing in strokes), "an epoch origin"
    assert any(typing[3][0] % 1 for typing in strokes), "fractions of a millisecond"


def test_rows_are_float32_and_answered_by_the_source_models(fitted):
    dataset, estimators, golden = fitted
    assert set(golden["models"]) == {model.name for model in MODELS}
    for model in MODELS:
        estimator, answers = estimators[model.name], golden["models"][model.name]
        rows = np.array(golden[KINDS[model.features]])
        assert np.array_equal(rows, rows.astype(np.float32))
        assert rows.shape[1] == (8 if model.features == "summary" else 76)
        expected = [dataset.classes[target] for target in predict(estimator, rows)]
        assert answers["labels"] == expected
        assert len(set(expected)) > 1
        scores = score(estimator, rows).astype(np.float32)
        assert np.array_equal(np.array(answers["scores"], np.float32), scores)


def test_decisions_are_of_one_attempt_and_of_several(fitted):
    _, _, golden = fitted
    for name in DECISIONS:
        sizes = [len(d["attempts"]) for d in golden["decisions"] if d["model"] == name]
        assert sizes == [1] * 6 + [2] * 6 + [3] * 6
    known = {tuple(row) for row in golden["timingRows"]}
    for decided in golden["decisions"]:
        assert all(tuple(row) in known for row in decided["attempts"])


def test_decisions_are_those_of_a_plain_loop(fitted):
    dataset, estimators, golden = fitted
    for decided in golden["decisions"]:
        settings, rows = DECISIONS[decided["model"]], np.array(decided["attempts"])
        evidence = estimators[decided["model"]].evidence(rows)
        fused = evidence.sum(axis=0) / (1 + (len(rows) - 1) * settings["correlation"])
        best = max(range(3), key=lambda user: (fused[user], -user))

        def kappa(kind, user, settings=settings, fused=fused):
            own, cohort, temperature = (
                settings[kind][name] for name in ("own", "cohort", "temperature")
            )
            others = [fused[other] / temperature for other in range(3) if other != user]
            mean = np.logaddexp.reduce(others) - math.log(2)
            return own * fused[user] - cohort * temperature * mean

        assert decided["user"] == dataset.classes[best]
        assert decided["confidence"] == pytest.approx(
            math.exp(fused[best] - np.logaddexp.reduce(fused))
        )
        assert decided["statistic"] == pytest.approx(kappa("identification", best))
        claimed = dataset.classes.index(decided["claim"]["user"])
        assert decided["claim"]["statistic"] == pytest.approx(kappa("verification", claimed))


def test_labels_of_the_training_rows_are_in_file_order(fitted):
    dataset, estimators, golden = fitted
    assert golden["training"]["sha256"] == dataset.sha256
    assert golden["training"]["rows"] == len(dataset.rows)
    for name in ("rf", "best"):
        rows = dataset.features["summary" if name == "rf" else "timings"]
        narrowed = rows.astype(np.float32).astype(np.float64)
        assert golden["training"]["labels"][name] == [
            dataset.classes[target] for target in predict(estimators[name], narrowed)
        ]
    assert golden["training"]["labels"]["rf"] == [
        dataset.classes[target] for target in dataset.targets
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_made_up_rows_are_like_the_population_but_never_one_of_its_rows(make_dataset, kind):
    dataset = make_dataset(users=list("abcdefgh"), repetitions=[9] * 8, keys=9)
    rows = dataset.features[kind]
    made = made_up_rows(rows, 8, np.random.default_rng(1), kind)
    assert len(made) == 200
    assert made.dtype == np.float32
    assert np.abs(made.mean(axis=0) - rows.mean(axis=0)).max() < rows.std(axis=0).max()
    assert np.array_equal(made * 64, np.round(made * 64))
    if kind == "summary":
        assert (made[:, [0, 1, 3, 5, 7]] >= 0).all()
    else:
        assert (made < 0).any()


def test_a_made_up_row_that_equals_one_of_the_data_is_left_out():
    rows = np.repeat([[1.0], [1 + 1 / 64]], 8, axis=1)
    made = made_up_rows(rows, 3, np.random.default_rng(1))
    assert 0 < len(made) < 200
    assert not any((row == rows.astype(np.float32)).all(axis=1).any() for row in made)


def test_rows_without_any_spread_have_one_beside_them():
    made = made_up_rows(np.ones((5, 8)), 8, np.random.default_rng(1))
    assert made.tolist() == [[2.0] * 8]
    assert made.dtype == np.float32


def test_many_classes_get_fewer_rows_so_that_the_file_stays_small(make_dataset):
    rows = make_dataset().rows
    assert len(made_up_rows(rows, classes=1000, random=np.random.default_rng(1))) == 22


def test_the_check_row_is_answered_by_the_source_model(fitted):
    dataset, estimators, golden = fitted
    for model in MODELS:
        check = check_row(golden, model, dataset.classes)
        row, estimator = np.array([check["row"]]), estimators[model.name]
        assert dataset.classes[predict(estimator, row)[0]] == check["user"]
        own = score(estimator, row)[0, dataset.classes.index(check["user"])]
        assert check["score"] == pytest.approx(own, rel=1e-6, abs=1e-6)


def test_rows_whose_answer_hangs_on_rounding_are_left_out(fitted, monkeypatch):
    dataset, estimators, golden = fitted

    def some(estimator, rows):
        unsure = {"svm": 1, "rf": 3, "best": 2}
        places = [place for name, place in unsure.items() if estimator is estimators[name]]
        return np.isin(np.arange(len(rows)) % 4, places)

    monkeypatch.setattr(golden_module, "borderline_rows", some)
    found = known_answers(dataset, MODELS, estimators, {}, seed=1)
    assert found["rows"] == golden["rows"][::2]
    timing_rows = golden["timingRows"]
    sure = [row for place, row in enumerate(timing_rows) if place % 4 != 2]
    assert found["timingRows"] == sure
    assert found["decisions"] == []


def test_models_that_are_unsure_of_everything_keep_all_rows(fitted, monkeypatch):
    dataset, estimators, golden = fitted
    monkeypatch.setattr(golden_module, "borderline_rows", lambda _, rows: np.ones(len(rows), bool))
    assert known_answers(dataset, MODELS, estimators, {}, seed=1)["rows"] == golden["rows"]


def test_a_number_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        golden_json({"rows": [[float("nan")]]})
