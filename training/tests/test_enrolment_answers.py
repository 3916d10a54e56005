"""The known answers of enrolment, against the models they are of."""

import json

import numpy as np
import pytest

from keystroke_training.__main__ import ANSWERS, REPOSITORY, main
from keystroke_training.decisions import Statistic
from keystroke_training.enrolment_answers import read_enrolment
from keystroke_training.templates import expand

MODELS = REPOSITORY / "models"


@pytest.fixture(scope="module")
def answers():
    return json.loads(ANSWERS.read_text("utf-8"))


@pytest.fixture(scope="module")
def models():
    return read_enrolment(MODELS)


def text_of(case, models):
    content, population, general = models
    if case["prior"] == "shipped":
        return population, content["decision"]["sameUser"]
    users = [expand(np.array(rows)) for rows in case["enrolled"]]
    return general.text(case["keys"], users, population), np.inf


def test_the_answers_of_the_service_tests_are_those_of_the_models(tmp_path, capsys):
    out = tmp_path / "answers.json"
    assert main(["answers", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    assert out.read_bytes() == ANSWERS.read_bytes()


def test_models_without_enrolment_have_no_answers(tmp_path, capsys):
    assert main(["answers", "--models", str(tmp_path), "--out", str(tmp_path / "a.json")]) == 2
    assert "enrolment.json: No such file" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()


def test_both_kinds_of_text_are_answered_for(answers, models):
    assert answers["models"] == models[0]["version"]
    kinds = [(case["prior"], case["keys"], len(case["enrolled"])) for case in answers["cases"]]
    assert kinds == [("shipped", 13, 0), ("general", 8, 0), ("general", 8, 6)]


def test_somebody_is_left_out_of_a_cohort_and_somebody_is_not(answers):
    left_out = [user["leftOut"] for case in answers["cases"] for user in case["users"]]
    assert None in left_out[:3]
    assert any(user is not None for user in left_out[:3])
    assert left_out[3:] == [None] * 6


def test_users_attempts_are_judged_one_by_one_and_together(answers, models):
    decision = models[0]["decision"]
    statistic = Statistic(decision["own"], decision["cohort"], decision["temperature"])
    for case in answers["cases"]:
        text, same_user = text_of(case, models)
        templates = [text.template(expand(np.array(user["rows"]))) for user in case["users"]]
        attempts = expand(np.array(case["attempts"]))
        evidence, cohort = [], []
        for centre, spread in templates:
            own = text.compare(attempts, np.float32([centre]), np.float32([spread]))
            evidence.append(own[:, 0])
            others = text.compare(attempts, text.centres, text.spreads)
            near = text.compare(np.float32([centre]), text.centres, text.spreads)[0]
            best = near.argmax()
            known = statistic.of_all(near[np.newaxis])[0, best] >= same_user
            cohort.append(np.delete(others, best, axis=1) if known else others)
        np.testing.assert_allclose(case["evidence"], np.transpose(evidence), rtol=1e-4)
        factor = 1 + decision["correlation"]
        for user in range(3):
            one = statistic.of_claim(evidence[user][:, np.newaxis], cohort[user])[:, 0]
            np.testing.assert_allclose(np.array(case["statistic"])[:, user], one, atol=1e-3)
            together = statistic.of_claim(
                evidence[user].sum(keepdims=True)[np.newaxis] / factor,
                cohort[user].sum(axis=0, keepdims=True) / factor,
            )
            assert case["fused"]["statistic"][user] == pytest.approx(together[0, 0], abs=1e-3)
        fused = np.sum(evidence, axis=1) / factor
        np.testing.assert_allclose(case["fused"]["evidence"], fused, rtol=1e-4)
        shares = np.exp(fused - fused.max())
        assert case["fused"]["confidence"] == pytest.approx(1 / shares.sum(), rel=1e-4)


def test_what_is_expected_and_made_of_it_is_told_by_its_first_numbers_and_sum(answers, models):
    for case in answers["cases"]:
        text, _ = text_of(case, models)
        for name, told in case["expected"].items():
            assert told["sum"] == pytest.approx(getattr(text, name).sum(), rel=1e-5)
        for user in case["users"]:
            centre, spread = text.template(expand(np.array(user["rows"])))
            for values, told in ((centre, user["centre"]), (spread, user["spread"])):
                assert told["first"] == pytest.approx(values[:10], rel=1e-5)
                assert told["sum"] == pytest.approx(values.sum(), rel=1e-5)
