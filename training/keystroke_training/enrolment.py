"""What users need who enrol with a service: `enrolment.json`, and how well they are recognised.

Thresholds and rates are those of users whom the population of a split does not have, pooled over
the splits. A published threshold is set on all of them; what it is said to do is measured with
thresholds set without the part of the users that it is measured on.
"""

import base64
import copy
import json
from collections import defaultdict
from dataclasses import asdict, astuple, dataclass
from hashlib import sha256

import numpy as np

from keystroke_training import templates
from keystroke_training.data import Dataset
from keystroke_training.decisions import DEFAULT_FMR, FMR, FPIR
from keystroke_training.enrolment_trial import (
    CORRELATION,
    STATISTIC,
    Claims,
    Enrolled,
    Setting,
    cohorts,
)
from keystroke_training.features import narrowed
from keystroke_training.general import PRIOR_ENROLLED, General
from keystroke_training.golden import made_up_rows
from keystroke_training.measures import ErrorRates, threshold_for
from keystroke_training.templates import Templates, expand
from keystroke_training.verification import (
    Scores,
    rounded,
    rounded_interval,
    significant,
    supported,
    verify,
)

FILE = "enrolment.json"
FORMAT = 1
READY = 3  # samples, before anybody is judged
SAMPLES = 5  # that the manifest's figures are of, or as many as there can be
_TAILS = (0.01, 0.05, 0.1, 0.25)
_ENOUGH = 10  # scores for a tail
_POPULATION = ("median", "middle", "deviation", "slope", "weights")


@dataclass(frozen=True)
class Findings:
    """What the splits say: the members `decision`, `general` (but what is expected), `measured`,
    `members` and `identification` of the file, and what the manifest says of it, `evaluation`.
    """

    evaluation: dict
    decision: dict
    general: dict
    measured: list[dict]
    members: list[dict]
    identification: list[dict]


def read_off(answers: list[Enrolled], folds: np.ndarray, seed: int) -> Findings:
    """Return what the answers of all splits say; `folds` [users] are the parts of the users."""
    pooled = _pooled([claims for split in answers for claims in split.claims])
    shipped = {setting: claims for setting, claims in pooled.items() if not setting.general}
    most = max(setting.enrolled for setting in shipped)
    points, measured, rates = [], [], {}
    for setting, claims in shipped.items():
        if setting.enrolled < most:
            continue
        found, of_setting, _ = verify(_scores(claims, folds), setting.attempts, seed)
        measured.append(_measured(setting, claims, of_setting, seed))
        rates[setting.samples, setting.attempts] = of_setting
        if setting.samples >= READY:
            points.append(_point(setting, claims, found))
    samples = max(samples for samples, _ in rates if samples <= SAMPLES)
    return Findings(
        evaluation={
            "protocol": f"{most} users unknown to the model enrolled with {samples} typings in a "
            f"row, {len(answers)} times; impostors are the others of them",
            "attempts": [found for (count, _), found in rates.items() if count == samples],
        },
        decision={
            **asdict(STATISTIC),
            "correlation": CORRELATION,
            "sameUser": rounded(np.median([split.same_user for split in answers])),
            "points": points,
            "identification": {"fpir": list(FPIR)},
        },
        general=_general({s: claims for s, claims in pooled.items() if s.general}, folds),
        measured=measured,
        members=_members(answers, points),
        identification=_identification(shipped, points),
    )


def threshold_at(point: dict, fmr: float) -> float:
    """Return the threshold for any FMR, of a point of the file: below that of its tail false
    claims fall off exponentially; above, it lies between those of the operating points, by the
    logarithm of the FMR.
    """
    tail = point["tail"]
    if fmr < tail["fmr"]:
        return tail["threshold"] + tail["scale"] * float(np.log(tail["fmr"] / fmr))
    known = [(p["fmr"], p["threshold"]) for p in point["verification"] if p["fmr"] >= tail["fmr"]]
    rates, thresholds = zip(*known, strict=True)
    return float(np.interp(np.log(fmr), np.log(rates), thresholds))


def fmr_among(enrolled: int, fpir: float) -> float:
    """Return the FMR of one claim by which a stranger matches some of so many at this rate, if
    matches are independent.
    """
    return 1 - (1 - fpir) ** (1 / enrolled)


def enrolment_json(
    population: Templates, general: General, found: Findings, dataset: Dataset, seed: int
) -> bytes:
    """Return the text of enrolment.json: the population, as Templates fitted on all of it, what is
    expected of users of any text, and the findings.
    """
    population, general = _stored(population), General(*map(narrowed, astuple(general)))
    content = {
        "format": FORMAT,
        "version": "",
        "keys": dataset.press.shape[1],
        "constants": {
            "degrees": templates.DEGREES,
            "priorTypings": templates.PRIOR_TYPINGS,
            "steadinessShare": templates.STEADINESS_SHARE,
            "ownShare": templates.OWN_SHARE,
            "leastSpread": templates.SPREADS[0],
            "mostSpread": templates.SPREADS[1],
            "leastDeviation": templates.LEAST_SPREAD,
            "steps": templates.STEPS,
            "priorEnrolled": PRIOR_ENROLLED,
        },
        "shipped": {
            **{name: _shortest(getattr(population, name)) for name in _POPULATION},
            "cohort": {
                "users": len(population.centres),
                "centres": _base64(population.centres),
                "spreads": _base64(population.spreads),
            },
        },
        "general": {
            **{name: _shortest(getattr(general, name)) for name in _POPULATION},
            **found.general,
        },
        "decision": found.decision,
        "measured": found.measured,
        "members": found.members,
        "identification": found.identification,
        "check": _check(population, found.decision["sameUser"], dataset, seed),
    }
    content["version"] = sha256(json.dumps(content).encode()).hexdigest()[:12]
    return (json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _pooled(parts: list[tuple[Setting, Claims]]) -> dict[Setting, Claims]:
    by_setting = defaultdict(list)
    for setting, claims in parts:
        by_setting[setting].append(claims)
    return {setting: _joined(claims) for setting, claims in by_setting.items()}


def _joined(claims: list[Claims]) -> Claims:
    return Claims(*(np.concatenate(parts) for parts in zip(*map(_columns, claims), strict=True)))


def _columns(claims: Claims) -> list[np.ndarray]:
    return [getattr(claims, name) for name in Claims.__dataclass_fields__]


def _scores(claims: Claims, folds: np.ndarray) -> Scores:
    return Scores(
        right=claims.genuine,
        found=claims.found,
        users=claims.genuine_users,
        folds=folds[claims.genuine_users],
        false=claims.impostor,
        false_users=claims.impostor_users,
        false_folds=folds[claims.impostor_users],
    )


def _measured(setting: Setting, claims: Claims, rates: dict, seed: int) -> dict:
    (default,) = [point for point in rates["points"] if point["fmr"] == DEFAULT_FMR]
    return {
        "samples": setting.samples,
        "attempts": setting.attempts,
        "users": setting.enrolled,
        "genuine": rates["genuine"],
        "impostor": rates["impostor"],
        "eer": rates["eer"],
        "eerInterval": rates["eerInterval"],
        "fnmr": default["fnmr"],
        "fnmrInterval": default["fnmrInterval"],
        "realisedFmr": default["realisedFmr"],
        "rank1": rounded(claims.found.mean()),
        "rank1Interval": rounded_interval(claims.found, claims.genuine_users, seed),
    }


def _point(setting: Setting, claims: Claims, verified: list[dict]) -> dict:
    return {
        "samples": setting.samples,
        "attempts": setting.attempts,
        "verification": [
            {name: point[name] for name in ("fmr", "threshold", "fnmr")} for point in verified
        ],
        "tail": _tail(claims.impostor),
        "genuine": [
            _significant(value) for value in np.percentile(claims.genuine, np.linspace(0, 100, 21))
        ],
    }


def _tail(false: np.ndarray) -> dict:
    """The FMR beyond which false claims are taken to fall off exponentially, and how fast."""
    fmr = next((rate for rate in _TAILS if rate * len(false) >= _ENOUGH), _TAILS[-1])
    threshold = threshold_for(false, fmr)
    beyond = false[false >= threshold]
    return {
        "fmr": fmr,
        "threshold": significant(threshold),
        "scale": _significant((beyond - threshold).mean() if len(beyond) > 0 else 0.0),
    }


def _general(pooled: dict[Setting, Claims], folds: np.ndarray) -> dict:
    """Points and rates where users type a text of their own, however many are enrolled."""
    together = defaultdict(dict)
    for setting, claims in pooled.items():
        key = setting.keys, setting.samples, setting.attempts
        together[key][setting.enrolled] = claims
    points, measured = [], []
    for (keys, samples, attempts), by_enrolled in sorted(together.items()):
        claims = _joined(list(by_enrolled.values()))
        scores = _scores(claims, folds)
        passed = {
            fmr: scores.passed(fmr) for fmr in supported(FMR, DEFAULT_FMR, len(claims.impostor))
        }
        verified = [
            {
                "fmr": fmr,
                "threshold": significant(threshold_for(claims.impostor, fmr)),
                "fnmr": rounded(1 - right.mean()),
            }
            for fmr, (right, _) in passed.items()
        ]
        setting = Setting(general=True, keys=keys, enrolled=0, samples=samples, attempts=attempts)
        points.append({"keys": keys, **_point(setting, claims, verified)})
        ends = [0, 0]
        for enrolled, own in by_enrolled.items():
            starts, ends = ends, [ends[0] + len(own.genuine), ends[1] + len(own.impostor)]
            right, false = (slice(*span) for span in zip(starts, ends, strict=True))
            rates = ErrorRates(own.genuine, own.genuine_users, own.impostor, own.impostor_users)
            measured.append(
                {
                    "keys": keys,
                    "enrolled": enrolled,
                    "samples": samples,
                    "attempts": attempts,
                    "genuine": len(own.genuine),
                    "impostor": len(own.impostor),
                    "eer": rounded(rates.equal()),
                    "rank1": rounded(own.found.mean()),
                    "points": [
                        {
                            "fmr": fmr,
                            "realisedFmr": rounded(accepted[false].mean()),
                            "fnmr": rounded(1 - matched[right].mean()),
                        }
                        for fmr, (matched, accepted) in passed.items()
                    ],
                }
            )
    return {"growth": _growth(points), "points": points, "measured": measured}


def _growth(points: list[dict]) -> float:
    """The power of the number of keys by which thresholds grow."""
    slopes = []
    for samples in {point["samples"] for point in points}:
        of_one = [p for p in points if p["samples"] == samples and p["attempts"] == 1]
        keys = np.array([point["keys"] for point in of_one])
        thresholds = np.array([threshold_at(point, DEFAULT_FMR) for point in of_one])
        if len(keys) > 1 and (thresholds > 0).all():
            slopes.append(np.polyfit(np.log(keys), np.log(thresholds), 1)[0])
    return round(float(np.clip(np.mean(slopes), 0, 1)), 2) if slopes else 0.0


def _members(answers: list[Enrolled], points: list[dict]) -> list[dict]:
    found = []
    for samples in answers[0].members:
        genuine = np.concatenate([split.members[samples][0] for split in answers])
        threshold = threshold_at(_nearest(points, samples, 1), DEFAULT_FMR)
        found.append(
            {
                "samples": samples,
                "genuine": len(genuine),
                "fmr": DEFAULT_FMR,
                "fnmr": rounded((genuine < threshold).mean()),
            }
        )
    return found


def _identification(shipped: dict[Setting, Claims], points: list[dict]) -> list[dict]:
    """What the thresholds for a FPIR do, which follow from the tail of false claims."""
    everyone = max(setting.enrolled for setting in shipped)
    found = []
    for setting, claims in shipped.items():
        if setting.samples < READY:
            continue
        point = _nearest(points, setting.samples, setting.attempts)
        rivals = setting.enrolled - (setting.enrolled == everyone)  # less the typist, if enrolled
        for fpir in FPIR:
            threshold = threshold_at(point, fmr_among(rivals, fpir))
            found.append(
                {
                    "enrolled": setting.enrolled,
                    "samples": setting.samples,
                    "attempts": setting.attempts,
                    "fpir": fpir,
                    "realisedFpir": rounded((claims.strange >= threshold).mean()),
                    "fnir": rounded(1 - (claims.found & (claims.genuine >= threshold)).mean()),
                }
            )
    return found


def _nearest(points: list[dict], samples: int, attempts: int) -> dict:
    """The point of so many samples, or of the most below, or of the fewest there are."""
    of_attempts = [point for point in points if point["attempts"] == attempts]
    below = [point for point in of_attempts if point["samples"] <= samples]
    return below[-1] if below else of_attempts[0]


def _check(population: Templates, same_user: float, dataset: Dataset, seed: int) -> dict:
    """A known answer: of made-up rows, as the service has them in float32."""
    random = np.random.default_rng(seed)
    made = made_up_rows(dataset.features["timings"], len(dataset.classes), random, "timings")
    rows = np.resize(made, (READY + 1, made.shape[1])).astype(np.float64)
    own = population.templates([expand(rows[:READY])])
    asked = expand(rows[READY:])
    evidence = population.compare(asked, *own)
    cohort = population.compare(asked, population.centres, population.spreads)
    kept = cohorts(population, own[0], same_user)
    return {
        "rows": rows[:READY].tolist(),
        "row": rows[READY].tolist(),
        "evidence": _significant(evidence[0, 0]),
        "statistic": _significant(STATISTIC.of_claim(evidence, cohort, kept)[0, 0]),
    }


def _stored(population: Templates) -> Templates:
    """The population as the file has it: in float32."""
    stored = copy.copy(population)
    for name in _POPULATION:
        setattr(stored, name, narrowed(getattr(population, name)))
    return stored


def _shortest(values: np.ndarray) -> list[float]:
    return [float(str(value)) for value in values.astype(np.float32)]


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def _significant(value: float) -> float:
    return float(f"{value:.6g}")
