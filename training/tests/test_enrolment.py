"""What is read off the answers of splits, against plain loops over made-up claims."""

import json
from dataclasses import replace

import numpy as np
import pytest

from keystroke_training import enrolment
from keystroke_training.decisions import FMR, FPIR
from keystroke_training.enrolment import enrolment_json, fmr_among, read_off, threshold_at
from keystroke_training.enrolment_answers import read_enrolment
from keystroke_training.enrolment_trial import (
    STATISTIC,
    Claims,
    Enrolled,
    Setting,
    cohorts,
    enrol,
    splits,
)
from keystroke_training.features import narrowed
from keystroke_training.general import General, fit_general
from keystroke_training.measures import threshold_for
from keystroke_training.templates import Templates, expand

USERS = 12
FOLDS = np.arange(USERS) % 4


def claims(random, users, shift=6.0, each=40):
    """Made-up claims by users, most of whom are told apart."""
    own, others = np.repeat(users, each), np.repeat(users, 5 * each)
    return Claims(
        genuine=random.normal(shift, 2, len(own)),
        genuine_users=own,
        found=random.random(len(own)) < 0.9,
        impostor=random.logistic(0, 1, len(others)),
        impostor_users=others,
        strange=random.logistic(1, 1, len(own)),
    )


@pytest.fixture(scope="module")
def answers():
    """Those of two splits, with three and five samples, and up to two attempts."""
    random = np.random.default_rng(1)
    found = []
    for split in range(2):
        users = np.arange(6) + 6 * split
        parts = []
        for samples in (1, 3, 5):
            for attempts in (1, 2):
                for enrolled in (4, 6):
                    setting = Setting(False, 9, enrolled, samples, attempts)
                    parts += [(setting, claims(random, users)), (setting, claims(random, users))]
                for keys, enrolled in ((5, 2), (5, 6), (9, 2), (9, 6)):
                    setting = Setting(True, keys, enrolled, samples, attempts)
                    parts.append((setting, claims(random, users, shift=keys - 2)))
        members = {3: (random.normal(6, 2, 50), np.repeat(np.arange(5), 10))}
        found.append(Enrolled(parts, members, 8.0 + split))
    return found


@pytest.fixture(scope="module")
def found(answers):
    return read_off(answers, FOLDS, seed=1)


def pooled(answers, setting):
    parts = [own for split in answers for of, own in split.claims if of == setting]
    return [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("genuine", "genuine_users", "impostor", "impostor_users", "strange", "found")
    ]


def point_of(points, **wanted):
    (point,) = [
        point for point in points if all(point[name] == value for name, value in wanted.items())
    ]
    return point


def missed(genuine, users, impostor, impostor_users, fmr):
    """FNMR and realised FMR by thresholds set without the part of the users measured on."""
    refused, matched = [], []
    for fold in range(4):
        threshold = threshold_for(impostor[FOLDS[impostor_users] != fold], fmr)
        refused += (genuine[FOLDS[users] == fold] < threshold).tolist()
        matched += (impostor[FOLDS[impostor_users] == fold] >= threshold).tolist()
    return np.mean(refused), np.mean(matched)


def test_points_are_of_three_samples_and_more_with_all_enrolled(found):
    points = [(point["samples"], point["attempts"]) for point in found.decision["points"]]
    assert points == [(3, 1), (3, 2), (5, 1), (5, 2)]
    measured = [(rates["samples"], rates["attempts"]) for rates in found.measured]
    assert measured == [(1, 1), (1, 2), *points]
    assert {rates["users"] for rates in found.measured} == {6}


def test_a_threshold_is_set_on_all_and_measured_on_others(answers, found):
    genuine, users, impostor, impostor_users, _, right = pooled(answers, Setting(False, 9, 6, 5, 1))
    point = point_of(found.decision["points"], samples=5, attempts=1)
    assert [entry["fmr"] for entry in point["verification"]] == list(FMR)
    for entry in point["verification"]:
        threshold = threshold_for(impostor, entry["fmr"])
        assert entry["threshold"] == pytest.approx(threshold, rel=1e-5)
        fnmr, _ = missed(genuine, users, impostor, impostor_users, entry["fmr"])
        assert entry["fnmr"] == pytest.approx(fnmr, abs=1e-4)
    rates = point_of(found.measured, samples=5, attempts=1)
    fnmr, realised = missed(genuine, users, impostor, impostor_users, 0.01)
    assert rates["fnmr"] == pytest.approx(fnmr, abs=1e-4)
    assert rates["realisedFmr"] == pytest.approx(realised, abs=1e-4)
    assert rates["rank1"] == pytest.approx(right.mean(), abs=1e-4)
    assert (rates["genuine"], rates["impostor"]) == (len(genuine), len(impostor))
    for name in ("eer", "fnmr", "rank1"):
        low, high = rates[f"{name}Interval"]
        assert low <= rates[name] <= high


def test_true_claims_are_told_by_their_quantiles(answers, found):
    genuine = pooled(answers, Setting(False, 9, 6, 3, 2))[0]
    point = point_of(found.decision["points"], samples=3, attempts=2)
    assert len(point["genuine"]) == 21
    assert point["genuine"][0] == pytest.approx(genuine.min(), rel=1e-5)
    assert point["genuine"][10] == pytest.approx(np.median(genuine), rel=1e-5)
    assert point["genuine"][20] == pytest.approx(genuine.max(), rel=1e-5)


def test_the_tail_says_how_fast_false_claims_fall_off(answers, found):
    impostor = pooled(answers, Setting(False, 9, 6, 3, 1))[2]
    tail = point_of(found.decision["points"], samples=3, attempts=1)["tail"]
    assert tail["fmr"] == 0.01
    beyond = impostor[impostor >= tail["threshold"]]
    assert len(beyond) == pytest.approx(0.01 * len(impostor), abs=1)
    assert tail["scale"] == pytest.approx((beyond - tail["threshold"]).mean(), rel=0.01)
    # Logistic claims do fall off like that, by 1.
    assert tail["scale"] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("count", "fmr"), [(1000, 0.01), (999, 0.05), (150, 0.1), (3, 0.25)])
def test_few_false_claims_have_a_longer_tail(count, fmr):
    tail = enrolment._tail(np.arange(count, dtype=float))
    assert tail["fmr"] == fmr
    assert tail["scale"] >= 0


def test_beyond_the_tail_a_threshold_follows_from_it_and_before_lies_between_points():
    point = {
        "tail": {"fmr": 0.01, "threshold": 7.0, "scale": 2.0},
        "verification": [
            {"fmr": 0.001, "threshold": 11.0},
            {"fmr": 0.01, "threshold": 7.0},
            {"fmr": 0.05, "threshold": 4.0},
        ],
    }
    assert threshold_at(point, 0.001) == pytest.approx(7 + 2 * np.log(10))
    assert threshold_at(point, 0.01) == 7
    assert threshold_at(point, (0.01 * 0.05) ** 0.5) == pytest.approx(5.5)
    assert threshold_at(point, 0.5) == 4


def test_a_stranger_has_a_chance_with_each_of_those_enrolled():
    assert fmr_among(1, 0.05) == pytest.approx(0.05)
    assert 1 - (1 - fmr_among(30, 0.05)) ** 30 == pytest.approx(0.05)


def test_identification_is_measured_at_the_thresholds_that_follow(answers, found):
    for enrolled, rivals in ((4, 4), (6, 5)):  # all six: each is a stranger to the others
        genuine, _, _, _, strange, right = pooled(answers, Setting(False, 9, enrolled, 3, 2))
        point = point_of(found.decision["points"], samples=3, attempts=2)
        for fpir in FPIR:
            rates = point_of(
                found.identification, enrolled=enrolled, samples=3, attempts=2, fpir=fpir
            )
            threshold = threshold_at(point, 1 - (1 - fpir) ** (1 / rivals))
            assert rates["realisedFpir"] == pytest.approx((strange >= threshold).mean(), abs=1e-4)
            identified = (right & (genuine >= threshold)).mean()
            assert rates["fnir"] == pytest.approx(1 - identified, abs=1e-4)
    assert {rates["samples"] for rates in found.identification} == {3, 5}


def test_thresholds_of_other_texts_are_the_same_however_many_are_enrolled(answers, found):
    parts = [pooled(answers, Setting(True, 5, enrolled, 3, 1)) for enrolled in (2, 6)]
    genuine, users, impostor, impostor_users, *_ = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    point = point_of(found.general["points"], keys=5, samples=3, attempts=1)
    assert point["verification"][1]["threshold"] == pytest.approx(
        threshold_for(impostor, 0.01), rel=1e-5
    )
    fnmr, _ = missed(genuine, users, impostor, impostor_users, 0.01)
    assert point["verification"][1]["fnmr"] == pytest.approx(fnmr, abs=1e-4)
    for (own, own_users, false, false_users, *_), enrolled in zip(parts, (2, 6), strict=True):
        rates = point_of(
            found.general["measured"], keys=5, samples=3, attempts=1, enrolled=enrolled
        )
        refused, matched = [], []
        for fold in range(4):
            threshold = threshold_for(impostor[FOLDS[impostor_users] != fold], 0.01)
            refused += (own[FOLDS[own_users] == fold] < threshold).tolist()
            matched += (false[FOLDS[false_users] == fold] >= threshold).tolist()
        assert rates["points"][1]["fnmr"] == pytest.approx(np.mean(refused), abs=1e-4)
        assert rates["points"][1]["realisedFmr"] == pytest.approx(np.mean(matched), abs=1e-4)


def test_thresholds_grow_by_a_power_of_the_keys():
    def point(keys, threshold, samples=3, attempts=1):
        tail = {"fmr": 0.01, "threshold": threshold, "scale": 1.0}
        verification = [{"fmr": 0.01, "threshold": threshold}]
        return {
            "keys": keys,
            "samples": samples,
            "attempts": attempts,
            "tail": tail,
            "verification": verification,
        }

    points = [point(keys, 3 * keys**0.4) for keys in (5, 8, 13)]
    assert enrolment._growth(points) == 0.4
    assert enrolment._growth([*points, *(point(k, 3 * k**0.2, samples=5) for k in (5, 13))]) == 0.3
    assert enrolment._growth([*points, point(20, 0.1, attempts=2)]) == 0.4
    assert enrolment._growth([point(5, 3), point(13, 2)]) == 0
    assert enrolment._growth([point(5, 3), point(13, 90)]) == 1
    # Of one text, or where nothing is to be gained, nothing is known.
    assert enrolment._growth(points[:1]) == 0
    assert enrolment._growth([point(5, -1), point(13, 2)]) == 0


def test_people_of_the_population_are_judged_by_the_thresholds_of_others(answers, found):
    genuine = np.concatenate([split.members[3][0] for split in answers])
    threshold = point_of(found.decision["points"], samples=3, attempts=1)["tail"]["threshold"]
    (members,) = found.members
    assert (members["samples"], members["genuine"], members["fmr"]) == (3, 100, 0.01)
    assert members["fnmr"] == pytest.approx((genuine < threshold).mean(), abs=1e-4)
    assert found.decision["sameUser"] == 8.5


def test_a_number_of_samples_without_a_point_has_that_of_fewer(found):
    points = found.decision["points"]
    assert enrolment._nearest(points, 4, 1)["samples"] == 3
    assert enrolment._nearest(points, 7, 2) == points[3]
    assert enrolment._nearest(points, 1, 1) == points[0]


def test_the_manifest_is_told_of_five_samples_or_as_many_as_there_are(answers, found):
    assert [rates["attempts"] for rates in found.evaluation["attempts"]] == [1, 2]
    rates, of_five = (
        found.evaluation["attempts"][0],
        point_of(found.measured, samples=5, attempts=1),
    )
    assert rates["eer"] == of_five["eer"]
    assert "6 users unknown to the model enrolled with 5 typings" in found.evaluation["protocol"]
    fewer = [
        replace(split, claims=[part for part in split.claims if part[0].samples <= 3])
        for split in answers
    ]
    told = read_off(fewer, FOLDS, seed=1)
    assert "enrolled with 3 typings" in told.evaluation["protocol"]


@pytest.fixture(scope="module")
def fitted(found, make_dataset, tmp_path_factory):
    """A population of ten users, its general expectation, and the file made of them."""
    folder = tmp_path_factory.mktemp("models")
    users = [str(number) for number in range(10)]
    dataset = make_dataset(users=users, repetitions=[5] * 10, keys=6)
    population = Templates().fit(dataset.features["timings"], dataset.targets)
    general = fit_general(dataset.press, dataset.release, dataset.targets)
    content = enrolment_json(population, general, found, dataset, seed=4)
    (folder / "enrolment.json").write_bytes(content)
    return folder, dataset, population, general, content


def test_the_file_has_the_population_in_float32(fitted):
    folder, _, population, general, _ = fitted
    content, read, expected = read_enrolment(folder)
    assert (content["format"], content["keys"]) == (1, 6)
    for name in ("median", "middle", "deviation", "slope", "weights", "centres", "spreads"):
        np.testing.assert_array_equal(getattr(read, name), narrowed(getattr(population, name)))
    for name in General.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(expected, name), narrowed(getattr(general, name)))
    assert content["constants"]["priorEnrolled"] == 5


def test_the_check_is_what_the_file_answers_to_made_up_rows(fitted):
    folder, dataset, *_ = fitted
    content, population, _ = read_enrolment(folder)
    check = content["check"]
    rows = np.array(check["rows"])
    assert rows.shape == (3, 6 * 6 - 2)
    own = population.templates([expand(rows)])
    asked = expand(np.array([check["row"]]))
    evidence = population.compare(asked, *own)
    assert check["evidence"] == pytest.approx(evidence[0, 0], rel=1e-5)
    cohort = population.compare(asked, population.centres, population.spreads)
    kept = cohorts(population, own[0], content["decision"]["sameUser"])
    statistic = STATISTIC.of_claim(evidence, cohort, kept)[0, 0]
    assert check["statistic"] == pytest.approx(statistic, rel=1e-5)
    known = {row.tobytes() for row in dataset.features["timings"].astype(np.float32)}
    made = np.float32([*check["rows"], check["row"]])
    assert not any(row.tobytes() in known for row in made)


def test_the_version_changes_with_the_content_and_only_with_it(fitted, found):
    _, dataset, population, general, content = fitted
    assert enrolment_json(population, general, found, dataset, seed=4) == content
    version = json.loads(content)["version"]
    assert len(version) == 12
    other = replace(found, decision={**found.decision, "sameUser": 1.0})
    changed = json.loads(enrolment_json(population, general, other, dataset, seed=4))
    assert changed["version"] != version


def test_the_smallest_data_that_can_be_measured_can_be_read_off(make_dataset):
    users = [str(number) for number in range(10)]
    dataset = make_dataset(users=users, repetitions=[4] * 10, keys=3)
    answers = [
        enrol(dataset, np.flatnonzero(~unseen), np.flatnonzero(unseen), split)
        for split, unseen in enumerate(splits(dataset))
    ]
    found = read_off(answers, np.arange(10) % 4, seed=1)
    assert [(point["samples"], point["attempts"]) for point in found.decision["points"]] == [(3, 1)]
    assert [rates["samples"] for rates in found.members] == [1]
    assert found.general["growth"] == 0
    population = Templates().fit(dataset.features["timings"], dataset.targets)
    general = fit_general(dataset.press, dataset.release, dataset.targets)
    content = json.loads(enrolment_json(population, general, found, dataset, seed=1))
    assert content["shipped"]["cohort"]["users"] == 10
