"""The model card says what was measured, and nothing that was not."""

import re
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from keystroke_training.assessment import assess, hides_scores
from keystroke_training.card import model_card
from keystroke_training.evaluate import lay_out, run
from keystroke_training.figures import figures
from keystroke_training.models import MODELS
from tests.test_figures import NAMES, PATHS, RAW, Users, assessments

PUBLIC = "d94fadc0cf773596a6bfaf5b506aa72cd86a601f8e9295770c9d256e17869a84"


def entries(found):
    """The manifest's entries of assessments, as far as the card looks at them."""
    return [entry(model, found[model.name]) for model in MODELS if model.name in found]


def entry(model, found):
    made_of = (
        {"members": [{"model": name, "weight": 0.6} for name in model.members]}
        if model.members
        else {"file": model.file}
    )
    return {
        "name": model.name,
        "title": model.title,
        **made_of,
        "scores": model.scores,
        "ties": model.ties,
        "hideScores": hides_scores(found.evaluation),
        "evaluation": found.evaluation,
        **({} if found.decision is None else {"decision": found.decision}),
        "parity": {
            "perturbedRows": 20_000,
            "labelDifferences": 0,
            "maxScoreDifference": 1e-7,
            "ties": 3,
            "borderlineRows": 2,
            "borderlineLabelDifferences": 0,
        },
    }


def card_of(found, dataset, drawn=PATHS):
    files = {entry["file"]: b"12" for entry in entries(found) if "file" in entry}
    files |= dict.fromkeys(drawn, b"<svg>")
    return model_card(dataset, 42, entries(found), found, files)


def section(card, title):
    (text,) = re.findall(rf"^## {title}.*?$(.*?)(?=^## |\Z)", card, re.DOTALL | re.MULTILINE)
    return text


def row(text, name):
    (line,) = re.findall(rf"^\| {name}(?!\w).*\|$", text, re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture(scope="module")
def users():
    return Users(110)


@pytest.fixture(scope="module")
def found(users):
    return assessments(users)


@pytest.fixture(scope="module")
def card(found, users):
    return card_of(found, users)


def changed(assessment, **evaluation):
    return replace(assessment, evaluation={**assessment.evaluation, **evaluation})


def assessed(dataset, names):
    """Assessments by the real pipeline; the training ranks are of no concern here."""
    asked = defaultdict(list)
    for trial, answers in run(lay_out(dataset, names), dataset, seed=42):
        for name, answer in answers.items():
            asked[name].append((trial, answer))
    ranks = np.ones(len(dataset.targets), int)
    return {
        model.name: assess(model, asked[model.name], dataset, ranks, seed=42)
        for model in MODELS
        if model.name in names
    }


def looks_whole(card):
    assert not re.search(r"\b(None|nan|inf)\b|[{}]", card)
    assert card.endswith(".\n")
    assert "\n\n\n" not in card
    for table in re.findall(r"(?:^\|.*\|\n)+", card, re.MULTILINE):
        widths = {len(line.split("|")) for line in table.splitlines()}
        assert len(widths) == 1, table


def test_the_card_of_all_models_is_whole(card):
    looks_whole(card)


@pytest.mark.parametrize("names", [["rf"], ["svm", "xgb"], ["summary"], ["templates"], RAW])
def test_the_card_of_some_models_is_whole_and_speaks_of_no_other(names):
    users = Users(5)
    card = card_of(assessments(users, names), users)
    looks_whole(card)
    others = set(NAMES) - set(names)
    assert not re.search(rf"`({'|'.join(others)})(\.onnx)?`", card)
    assert ("## Strangers" in card) == bool(set(names) & set(RAW))
    assert ("## Verification" in card) == bool(set(names) & set(RAW))


def test_the_recognition_of_every_model_is_told(card, found):
    text = section(card, "Identification")
    for model in MODELS:
        evaluation = found[model.name].evaluation
        cells = row(text, re.escape(f"{model.name}: {model.title}"))
        assert cells[1] == f"{evaluation['rank1']:.1%}"
        assert cells[2] == "10.0% to 90.0%"
        assert cells[3] == f"{evaluation['rank5']:.1%}"
    assert "n = 880 held-out typings, leave one repetition out, 8 folds" in text


@pytest.mark.parametrize("drawn", [PATHS, PATHS[:1], []])
def test_the_figures_that_there_are_are_shown(found, users, drawn):
    shown = re.findall(r"\]\((figures/.*?)\)", card_of(found, users, drawn))
    assert sorted(shown) == drawn


def test_strangers_are_told_by_fnir_and_realised_fpir(card):
    text = section(card, "Strangers")
    assert row(text, r"best \| 2")[2:] == [
        *("2,640", "3,520", "0.900", "30.0 [25.0, 35.0], 1.0"),
        *("30.0 [25.0, 35.0], 5.0", "30.0 [25.0, 35.0], 10.0"),
    ]
    assert "FNIR at FPIR 5 % (default)" in text
    assert "1.00 to 1.00 times" in text


def test_verification_is_told_by_fnmr_and_eer(card):
    text = section(card, "Verification")
    assert row(text, r"best \| 1")[2:] == [
        *("2,640", "290,368", "5.0% [4.0, 6.0]", "12.0 [10.0, 14.0], 0.10"),
        *("12.0 [10.0, 14.0], 1.00", "12.0 [10.0, 14.0], 5.00"),
    ]
    assert "FNMR at FMR 1 % (default)" in text


def test_users_who_enrol_later_are_told_by_how_often_they_typed_for_it(card):
    text = section(card, "Users who enrol later")
    assert row(text, r"4 \| 2")[2:] == [
        *("3,600", "104,400", "2.5% [2.4, 30.0]", "12.0 [10.0, 14.0], 1.00"),
        "97.5% [50.0, 100.0]",
    ]
    assert "30 users at a time whom a population of 80 others lacks" in text
    assert "13.0% after 3 typings and 7.8% after 5 typings are refused" in text
    assert "After 5 typings to enrol with: FNIR" in text
    assert row(text, r"10 \| 2") == ["10", "2", "30.0, 1.1", "30.0, 5.5", "30.0, 11.0"]
    assert row(text, r"13 \| 30") == ["13", "30", "6.0%", "80.0%", "25.0%", "1.2%"]
    assert "all 13 keys of it" in text
    assert "†" not in text


def test_few_errors_of_users_who_enrol_are_marked(found, users):
    enrolment = found["templates"].enrolment
    # 29 of 3,600 true claims.
    few = [{**rates, "fnmr": 29 / 3600} for rates in enrolment.measured]
    templates = replace(found["templates"], enrolment=replace(enrolment, measured=few))
    text = section(card_of({"templates": templates}, users), "Users who enrol later")
    assert row(text, r"4 \| 2")[5].endswith("1.00 †")
    assert "rule of 30" in text


def test_where_nobody_could_enrol_nothing_is_said_of_it(found, users):
    nobody = changed(replace(found["templates"], enrolment=None))
    del nobody.evaluation["enrolment"]
    card = card_of({"templates": nobody}, users)
    looks_whole(card)
    assert "enrol later" not in card
    assert "enrolment.json" not in card


def test_rates_with_few_errors_are_marked(card, found, users):
    assert "†" not in card
    (entry, *others) = found["best"].evaluation["verification"]["attempts"]
    # 29 of 290,368 false claims.
    few = {**entry["points"][0], "realisedFmr": 29 / 290_368}
    attempts = [{**entry, "points": [few, *entry["points"][1:]]}, *others]
    best = changed(found["best"], verification={"attempts": attempts})
    text = section(card_of({**found, "best": best}, users), "Verification")
    assert [cell.endswith("†") for cell in row(text, r"best \| 1")[5:]] == [True, False, False]
    assert "rule of 30" in text


def test_further_attempts_and_later_typings_are_told(card):
    text = section(card, "Identification")
    assert "| best | " in text
    assert row(text, "best \\|")[2:] == ["55.0% [50.0, 60.0]", "80.0% [70.0, 90.0]"]


def test_more_typings_held_out_for_more_attempts_are_told_of(card, found, users):
    assert "held out together, 2 of them" in card
    best = found["best"]
    attempts = [{**best.evaluation["attempts"][0], "attempts": number} for number in (2, 3, 4)]
    more = {name: changed(found[name], attempts=attempts) for name in RAW}
    assert "2 for up to 2 attempts and 4 for more" in card_of({**found, **more}, users)


def test_users_who_are_served_badly_are_counted(card, found):
    cells = row(section(card, "Who is served badly"), "best")
    assert cells[6] == "1"
    # 110 times the chance of fewer than 4 of 8 at the model's rate.
    rate = found["best"].evaluation["rank1"]
    random = np.random.default_rng(1).binomial(8, rate, size=200_000)
    assert float(cells[7]) == pytest.approx(110 * (random < 4).mean(), abs=0.4)


def test_users_who_stay_badly_served_are_told_of_only_where_it_was_seen(users):
    badly = users.targets % 2 == 0
    (rf,) = assessments(users, ["rf"]).values()
    stays = replace(rf, ranks=np.where(badly, 2, 1))
    stays.ranks[0] = 1
    text = card_of({"rf": stays}, users)
    assert "`rf` missed it misses the same user's next one in 100% of cases" in text
    assert "it recognised in 0%" in text
    moves = replace(rf, ranks=1 + np.arange(len(users.targets)) % 2)
    assert "stays so" not in card_of({"rf": moves}, users)


def test_hidden_scores_are_told_and_what_is_answered_all_the_same(found, users):
    text = section(card_of(found, users), "Scores tell")
    assert row(text, "rf") == ["rf", "0.95", "hidden"]
    assert row(text, "best") == ["best", "0.60", "shown"]
    assert "so for `rf`." in text
    assert "`confidence`" not in text
    leaking = {**found, "best": changed(found["best"], membershipAuc=0.93)}
    text = section(card_of(leaking, users), "Scores tell")
    assert "so for `rf` and `best`." in text
    assert "does not close the leak of `best`: `confidence`" in text


def test_a_composed_model_has_no_file(card):
    text = section(card, "The files")
    assert "| `best`, made of `templates` and `trees` | no file | 0 |" in text
    assert "| `rf.onnx` | 2 | 0 |" in text


def test_what_scores_mean_is_told_once(card):
    text = section(card, "What a score means")
    for model in MODELS:
        assert text.count(model.scores) == text.count(model.ties) == 1
    assert "**templates**, **trees**, **best**: " in text


def test_the_public_data_are_recognised_and_no_others(users, found):
    other = card_of(found, users)
    assert "GitHub" not in other
    assert "not on these data" in other
    users = Users(110)
    users.sha256 = PUBLIC
    public = card_of(found, users)
    assert "`Train_keystroke.csv`" in public
    assert "the same data as here" in public
    assert "expect a little optimism" in public


def test_only_models_with_constants_of_ours_were_settled_on_other_data(users):
    assert "constants" not in card_of(assessments(users, ["rf"]), users)
    assert "constants of `summary`" in card_of(assessments(users, ["rf", "summary"]), users)


def test_the_drift_between_sittings_is_measured_only_with_sessions(found, card):
    assert "**Session drift is not measured.**" in card
    users = Users(110)
    users.has_sessions = True
    sessions = card_of(found, users)
    assert "not measured.**" not in sessions
    assert "Sittings are held out whole" in sessions
    assert "the k-th sitting of every user is held out" in sessions


def test_few_users_leave_no_strangers_and_flatter(make_dataset):
    dataset = make_dataset(users=["ann", "bob"], repetitions=[2, 2], keys=4)
    found = assessed(dataset, ["templates"])
    card = card_of(found, dataset, figures(found, dataset))
    looks_whole(card)
    assert "Too few users to leave some out as strangers" in card
    assert "impostors are the other known users" in card
    assert "zero-effort" not in card
    assert "First to last" not in card
    assert "4 typings of one 4-key text by 2 users, 2 each" in card


def test_the_card_of_a_whole_measurement(make_dataset):
    dataset = make_dataset(users=list("abcde"), repetitions=[4, 4, 4, 4, 3], keys=4)
    found = assessed(dataset, ["rf", "templates"])
    drawn = figures(found, dataset)
    assert sorted(drawn) == [path for path in PATHS if "enrolment" not in path]
    card = card_of(found, dataset, drawn)
    looks_whole(card)
    assert "19 typings of one 4-key text by 5 users, 3 to 4 each" in card
    assert found["templates"].evaluation["strangers"]["protocol"] in card
    for part in ("Strangers", "Verification", "Confidence", "Robustness", "Who is served badly"):
        assert "| templates |" in section(card, part)
    assert "2 attempts (n = " in card
