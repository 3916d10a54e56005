"""Known answers for the service's tests of enrolment: people who do not exist enrol by the models'
`enrolment.json`, and are recognised.
"""

import base64
import json
from pathlib import Path

import numpy as np

from keystroke_training.decisions import Statistic, confidence, fuse
from keystroke_training.enrolment import FILE
from keystroke_training.enrolment_trial import cohorts, recognised
from keystroke_training.features import narrowed, timing_features
from keystroke_training.general import General
from keystroke_training.synthesis import made_up_times
from keystroke_training.templates import Templates, expand

SAMPLES, ATTEMPTS = 3, 2
CLAIMED, OTHERS = 3, 3  # users who are claimed, and others who only tell what is usual
KEYS = 8  # of the text that the models do not know
SEED = 3
SHOWN = 10  # features of a template


def read_enrolment(folder: Path) -> tuple[dict, Templates, General]:
    """Return the content of a folder's enrolment.json, its population and what is expected of
    users of any text.
    """
    content = json.loads((folder / FILE).read_text("utf-8"))
    shipped, general = content["shipped"], content["general"]
    population = Templates()
    for name in General.__dataclass_fields__:
        setattr(population, name, np.float32(shipped[name]).astype(np.float64))
    for name in ("centres", "spreads"):
        packed = np.frombuffer(base64.b64decode(shipped["cohort"][name]), "<f4")
        values = packed.reshape(shipped["cohort"]["users"], -1).astype(np.float64)
        setattr(population, name, values)
    parts = [np.float32(general[name]).astype(np.float64) for name in General.__dataclass_fields__]
    return content, population, General(*parts)


def enrolment_answers(folder: Path) -> str:
    """Return the text of the known answers, of the models in a folder: for the text that these
    know, and for another of KEYS keys with nobody and with CLAIMED + OTHERS users enrolled.
    """
    content, population, general = read_enrolment(folder)
    statistic = Statistic(*(content["decision"][n] for n in ("own", "cohort", "temperature")))
    cases = []
    for keys, prior, enrolled in (
        (content["keys"], "shipped", 0),
        (KEYS, "general", 0),
        (KEYS, "general", CLAIMED + OTHERS),
    ):
        rows = _made_up_rows(keys)
        users = [expand(own[:SAMPLES]) for own in rows]
        text, same_user = population, content["decision"]["sameUser"]
        if prior == "general":
            text, same_user = general.text(keys, users[:enrolled], population), np.inf
        cases.append(
            {
                "prior": prior,
                "keys": keys,
                "enrolled": [own[:SAMPLES].tolist() for own in rows[:enrolled]],
                "expected": {
                    name: _summed(getattr(text, name))
                    for name in ("median", "middle", "deviation", "slope", "weights")
                },
                "cohort": {"centres": _sum(text.centres), "spreads": _sum(text.spreads)},
                **_case(text, rows[:CLAIMED], same_user, statistic, content["decision"]),
            }
        )
    answers = {
        "madeBy": "npm run train -- answers",
        "models": content["version"],
        "cases": cases,
    }
    return json.dumps(answers, separators=(",", ":"), allow_nan=False) + "\n"


def _made_up_rows(keys: int) -> list[np.ndarray]:
    """`timings` rows [SAMPLES + ATTEMPTS, features] of every made-up user."""
    press, release = made_up_times(CLAIMED + OTHERS, SAMPLES + ATTEMPTS, keys, SEED)
    return [narrowed(timing_features(down, up)) for down, up in zip(press, release, strict=True)]


def _case(
    text: Templates, rows: list[np.ndarray], same_user: float, statistic: Statistic, decision: dict
) -> dict:
    """What is answered of claimed users: their templates, and their typings of the first one."""
    centres, spreads = text.templates([expand(own[:SAMPLES]) for own in rows])
    kept = cohorts(text, centres, same_user)
    best, certainty = recognised(text, centres)
    attempts = expand(rows[0][SAMPLES:])
    evidence = text.compare(attempts, centres, spreads)
    cohort = text.compare(attempts, text.centres, text.spreads)
    fused, others = (fuse(part[np.newaxis], decision["correlation"]) for part in (evidence, cohort))
    return {
        "users": [
            {
                "rows": own[:SAMPLES].tolist(),
                "centre": _summed(centre),
                "spread": _summed(spread),
                "nearest": {"cohort": int(near), "statistic": _significant(sure)},
                "leftOut": None if known.all() else int(near),
            }
            for own, centre, spread, near, sure, known in zip(
                rows, centres, spreads, best, certainty, kept, strict=True
            )
        ],
        "attempts": rows[0][SAMPLES:].tolist(),
        "evidence": _list(evidence),
        "statistic": _list(statistic.of_claim(evidence, cohort, kept)),
        "fused": {
            "evidence": _list(fused)[0],
            "statistic": _list(statistic.of_claim(fused, others, kept))[0],
            "confidence": _significant(confidence(fused)[0]),
        },
    }


def _summed(values: np.ndarray) -> dict:
    return {"first": [_significant(value) for value in values[:SHOWN]], "sum": _sum(values)}


def _sum(values: np.ndarray) -> float:
    return _significant(values.sum())


def _list(values: np.ndarray) -> list:
    return [[_significant(value) for value in row] for row in values]


def _significant(value: float) -> float:
    return float(f"{value:.7g}")
