"""The figures stay small and the same for any number of users, and show what there is."""

import re
from dataclasses import replace

import numpy as np
import pytest

from keystroke_training.assessment import Assessment
from keystroke_training.decisions import FMR, FPIR
from keystroke_training.disturbances import DISTURBANCES
from keystroke_training.enrolment import Findings
from keystroke_training.figures import figures
from keystroke_training.models import MODELS

NAMES = [model.name for model in MODELS]
RAW = [model.name for model in MODELS if model.features == "timings"]
PATHS = [
    f"figures/{name}.svg"
    for name in ("calibration", "cmc", "confusion", "det", "enrolment", "robustness", "users")
]
MAX_BYTES = 150_000


class Users:
    """Stands for a dataset of so many users, with so many typings each."""

    def __init__(self, count, typings=8):
        self.classes = list(range(count))
        self.targets = np.repeat(np.arange(count), typings)
        self.press = self.release = np.zeros((len(self.targets), 13))
        self.repetition_counts = [typings] * count
        self.has_sessions = False
        self.sha256 = "5a"


def assessments(users, names=NAMES, right=0.6):
    """Made-up assessments by name of the model, `right` being the share of typings recognised."""
    return {name: made_up(users, name, right) for name in names}


def made_up(users, name, right):
    random = np.random.default_rng(NAMES.index(name))
    targets, count = users.targets, len(users.classes)
    known = random.random(len(targets)) < right
    predicted = np.where(known, targets, random.integers(count, size=len(targets)))
    ranks = np.where(predicted == targets, 1, random.integers(2, max(count, 3), size=len(targets)))
    evaluation = {
        "protocol": "leave one repetition out",
        "folds": 8,
        "n": len(targets),
        "rank1": round((ranks == 1).mean(), 4),
        "rank1Interval": [0.1, 0.9],
        "rank5": round((ranks <= 5).mean(), 4),
        "rank5Interval": [0.2, 0.95],
        "macroF1": 0.5,
        "cmc": [float((ranks <= rank).mean()) for rank in range(1, min(20, count) + 1)],
        "training": {"n": len(targets), "rank1": 1.0, "rank5": 1.0},
        "membershipAuc": 0.95 if name == "rf" else 0.6,
        "perUser": dict.fromkeys(("min", "lowerQuartile", "median", "upperQuartile", "max"), 0.5)
        | {"belowHalf": 1},
    }
    disturbed = dict.fromkeys(DISTURBANCES, right / 2)
    if name == "svm":
        return Assessment(evaluation, None, targets, predicted, ranks, [], disturbed)
    evaluation |= {"logLoss": 1.2, "logLossInterval": [1.1, 1.3]}
    evaluation |= {"calibrationError": 0.02, "calibrationErrorInterval": [0.01, 0.03]}
    calibration = [(place / 10, place / 10, 8) for place in range(1, 11)]
    if name not in RAW:
        return Assessment(evaluation, None, targets, predicted, ranks, calibration, disturbed)
    verification, strangers, trade_offs = [], [], {}
    for attempts in (1, 2):
        fnmr = np.linspace(0, 1, 100_000)
        trade_offs[attempts] = (1 - fnmr) ** 20, fnmr
        verification.append(
            {
                "attempts": attempts,
                "genuine": 2640 // attempts,
                "impostor": 290_368,
                "eer": 0.05,
                "eerInterval": [0.04, 0.06],
                "points": [
                    {"fmr": fmr, "fnmr": 0.12, "fnmrInterval": [0.1, 0.14], "realisedFmr": fmr}
                    for fmr in FMR
                ],
            }
        )
        strangers.append(
            {
                "attempts": attempts,
                "n": 2640,
                "strangers": 3520,
                "auroc": 0.9,
                "points": [
                    {
                        "fpir": fpir,
                        "identified": 0.7,
                        "identifiedInterval": [0.65, 0.75],
                        "realisedFpir": fpir,
                    }
                    for fpir in FPIR
                ],
            }
        )
    known = "some known, all others strangers"
    evaluation["later"] = {"n": 220, "rank1": 0.55, "rank1Interval": [0.5, 0.6]}
    evaluation["attempts"] = [{"attempts": 2, "n": 440, "rank1": 0.8, "rank1Interval": [0.7, 0.9]}]
    evaluation["strangers"] = {"protocol": known, "attempts": strangers}
    evaluation["verification"] = {"protocol": known, "attempts": verification}
    enrolment = None
    if name == "templates":
        evaluation["enrolment"] = {"protocol": "some enrolled", "attempts": verification}
        enrolment = enrolled(evaluation["enrolment"])
    drawn = calibration, disturbed, trade_offs
    return Assessment(evaluation, {}, targets, predicted, ranks, *drawn, enrolment)


def enrolled(evaluation):
    """Made-up findings of thirty users who enrol."""
    measured = [
        {
            "samples": samples,
            "attempts": attempts,
            "users": 30,
            "genuine": 3600,
            "impostor": 104_400,
            "eer": 0.2 / samples / attempts,
            "eerInterval": [0.19 / samples / attempts, 0.3],
            "fnmr": 0.12,
            "fnmrInterval": [0.1, 0.14],
            "realisedFmr": 0.01,
            "rank1": 1 - 0.2 / samples / attempts,
            "rank1Interval": [0.5, 1.0],
        }
        for samples in range(1, 8)
        for attempts in range(1, min(3, 8 - samples) + 1)
    ]
    settings = [(rates["samples"], rates["attempts"]) for rates in measured]
    identification = [
        {
            "enrolled": enrolled,
            "samples": samples,
            "attempts": attempts,
            "fpir": fpir,
            "realisedFpir": 1.1 * fpir,
            "fnir": 0.3,
        }
        for samples, attempts in settings
        for enrolled in (10, 30)
        for fpir in FPIR
    ]
    other_texts = [
        {
            "keys": keys,
            "enrolled": enrolled,
            "samples": samples,
            "attempts": 1,
            "eer": 0.06,
            "rank1": 0.8,
            "points": [{"fmr": fmr, "realisedFmr": 1.2 * fmr, "fnmr": 0.25} for fmr in FMR],
        }
        for keys in (5, 13)
        for enrolled in (2, 30)
        for samples in (3, 5, 7)
    ]
    points = [{"samples": samples} for samples in (3, 5, 7)]
    members = [{"samples": samples, "fnmr": 0.39 / samples} for samples in (3, 5)]
    general = {"points": points, "measured": other_texts}
    return Findings(evaluation, {}, general, measured, members, identification)


def texts(figure):
    """What is written in a figure."""
    return re.findall(r"<!-- (.*?) -->", figure.decode(), re.DOTALL)


@pytest.mark.parametrize(("count", "typings"), [(2, 8), (110, 8), (1000, 8), (51, 400)])
def test_figures_are_small_and_the_same_every_time(count, typings):
    users = Users(count, typings)
    drawn = figures(assessments(users), users)
    assert sorted(drawn) == PATHS
    for path, figure in drawn.items():
        assert b"</svg>" in figure, path
        assert b"<dc:date>" not in figure, path
        assert len(figure) < MAX_BYTES, path
    assert figures(assessments(users), users) == drawn


@pytest.mark.parametrize("name", ["cmc", "confusion", "calibration", "users", "robustness"])
def test_a_figure_says_how_many_typings_it_is_about(name):
    users = Users(110)
    written = "\n".join(texts(figures(assessments(users), users)[f"figures/{name}.svg"]))
    assert "880 held-out typings, 110 users" in written


def test_figures_without_anything_to_show_are_left_out():
    users = Users(3)
    (svm,) = assessments(users, ["svm"]).values()
    drawn = figures({"svm": replace(svm, disturbed={})}, users)
    assert set(drawn) == {"figures/cmc.svg", "figures/confusion.svg", "figures/users.svg"}


def test_there_is_no_trade_off_without_comparisons():
    users = Users(3)
    (best,) = assessments(users, ["best"]).values()
    nothing = {1: (np.zeros(0), np.zeros(0))}
    assert "figures/det.svg" not in figures({"best": replace(best, trade_offs=nothing)}, users)


def test_the_trade_off_says_what_was_compared():
    users = Users(3)
    written = texts(figures(assessments(users, RAW), users)["figures/det.svg"])
    assert "1 attempt: 2,640 genuine, 290,368 impostor comparisons" in "\n".join(written)
    assert "2 attempts: 1,320 genuine, 290,368 impostor comparisons" in "\n".join(written)


def test_operating_points_are_marked_in_the_trade_off():
    users = Users(3)
    (best,) = assessments(users, ["best"]).values()
    unmarked = replace(
        best,
        evaluation={
            **best.evaluation,
            "verification": {
                "attempts": [
                    {**entry, "points": []} for entry in best.evaluation["verification"]["attempts"]
                ]
            },
        },
    )
    path = "figures/det.svg"
    marks, without = (
        figures({"best": found}, users)[path].count(b"<use") for found in (best, unmarked)
    )
    assert marks - without == 2 * len(FMR)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (NAMES, ["rf", "summary", "best"]),
        (["svm", "rf"], ["svm", "rf"]),
        (["templates"], ["templates"]),
        (["svm", "rf", "xgb", "templates"], ["rf", "xgb", "templates"]),
    ],
)
def test_the_confusion_of_the_three_best_is_shown(names, shown):
    users = Users(5)
    written = texts(figures(assessments(users, names), users)["figures/confusion.svg"])
    titles = [text.split(":")[0] for text in written if text.endswith("% recognised")]
    assert titles == shown


def test_every_user_has_a_dot_in_the_confusion():
    users = Users(110)
    (rf,) = assessments(users, ["rf"], right=1.0).values()
    figure = figures({"rf": rf}, users)["figures/confusion.svg"].decode()
    dots = [line for line in figure.split("<path") if "stroke-linecap: round" in line[:20_000]]
    (diagonal,) = [line for line in dots if "stroke: #0072b2" in line]
    assert len(re.findall("M [0-9.]+ ", diagonal)) == 110


def test_a_model_of_either_kind_has_a_panel_for_calibration():
    users = Users(5)
    both = texts(figures(assessments(users, ["rf", "best"]), users)["figures/calibration.svg"])
    assert {"eight numbers", "raw timings"} <= set(both)
    one = texts(figures(assessments(users, ["rf"]), users)["figures/calibration.svg"])
    assert "eight numbers" in one
    assert "raw timings" not in one


def test_users_who_enrol_later_are_drawn_by_attempts():
    users = Users(110)
    found = assessments(users, ["rf", "templates"])
    path = "figures/enrolment.svg"
    written = texts(figures(found, users)[path])
    assert "rank-1 rate among 30" in written
    assert {"1 attempt", "2 attempts", "3 attempts"} <= set(written)
    enrolment = found["templates"].enrolment
    single = [rates for rates in enrolment.measured if rates["attempts"] == 1]
    found["templates"] = replace(found["templates"], enrolment=replace(enrolment, measured=single))
    assert "2 attempts" not in texts(figures(found, users)[path])
    assert path not in figures({"rf": found["rf"]}, users)
