"""Reads off what the trials of one model say: how well it recognises, and where to decide.

Decisions are set on strangers: users that the trial's models were not fitted on, while they were
fitted on all typings of the others, as the shipped ones are. A published threshold is set on all
strangers; what it is said to do is measured with thresholds set without the part of the users
that it is measured on. True claims are of held-out typings, so of models that were fitted on one
typing less, or on as many less as there are attempts: that weighs against them.
"""

from dataclasses import asdict, astuple, dataclass, field
from decimal import ROUND_CEILING, Context

import numpy as np
from sklearn.metrics import f1_score

from keystroke_training.calibration import learn_weights, log_softmax
from keystroke_training.data import Dataset
from keystroke_training.decisions import (
    DEFAULT_FMR,
    DEFAULT_FPIR,
    FMR,
    FPIR,
    MOST_ATTEMPTS,
    Statistic,
    fuse,
)
from keystroke_training.evaluate import (
    ENROLLED,
    PROBES,
    TOGETHER,
    Answers,
    Enrolled,
    Trial,
    rank_candidates,
    stranger_folds,
)
from keystroke_training.measures import (
    ErrorRates,
    area_under_curve,
    calibration_curve,
    calibration_error,
    cumulative_match,
    interval,
    resampled,
    threshold_for,
)
from keystroke_training.models import Model

CMC_RANKS = 20
STATISTIC = Statistic(own=1.0, cohort=0.8, temperature=2.0)
MOST_MEMBERSHIP_AUC = 0.9  # above it, returned scores are not for everyone
_NO_PROBABILITY = ("svm",)

Asked = list[tuple[Trial, Answers | Enrolled]]


@dataclass(frozen=True)
class Groups:
    """Attempts of one user each, fused: `evidence` [groups, known] for the trial's `known`
    [known], the `users` [groups] as class indices, and the `folds` [groups] in which these are
    strangers.
    """

    evidence: np.ndarray
    users: np.ndarray
    known: np.ndarray
    folds: np.ndarray

    @property
    def places(self) -> np.ndarray:
        """Column of each group's user, −1 for a stranger's."""
        place = np.full(max(self.known.max(), self.users.max()) + 1, -1)
        place[self.known] = np.arange(len(self.known))
        return place[self.users]


@dataclass(frozen=True)
class _Scores:
    """Statistics with the user [n] whose typing it is and the fold [n] in which that is a
    stranger: `right` ones and those that must not pass, `false`. `found` [n] tells whether a
    right one is of the best candidate.
    """

    right: np.ndarray
    found: np.ndarray
    users: np.ndarray
    folds: np.ndarray
    false: np.ndarray
    false_users: np.ndarray
    false_folds: np.ndarray

    def passed(self, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Which right and false ones pass the thresholds that let this rate of the false ones of
        all other folds pass.
        """
        right, false = np.zeros(len(self.right), bool), np.zeros(len(self.false), bool)
        for fold in np.unique(np.concatenate([self.folds, self.false_folds])):
            others = self.false[self.false_folds != fold]
            threshold = threshold_for(others if len(others) > 0 else self.false, rate)
            of_fold, of_false = self.folds == fold, self.false_folds == fold
            right[of_fold] = self.right[of_fold] >= threshold
            false[of_false] = self.false[of_false] >= threshold
        return right, false


@dataclass(frozen=True)
class Assessment:
    """What is known of a model: `evaluation` and `decision` as the manifest has them (the
    latter for models of raw timings), and what figures are drawn from.
    """

    evaluation: dict
    decision: dict | None
    targets: np.ndarray
    predicted: np.ndarray
    ranks: np.ndarray
    calibration: list[tuple[float, float, int]] = field(default_factory=list)
    disturbed: dict[str, float] = field(default_factory=dict)
    # FMR and FNMR of the verification of known users against strangers, by attempts.
    trade_offs: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def assess(
    model: Model, asked: Asked, dataset: Dataset, training_ranks: np.ndarray, seed: int
) -> Assessment:
    """Return the assessment of a model from its trials; `training_ranks` [rows] are those that
    the model fitted on everything gives its own rows.
    """
    held_out = [(trial, answers) for trial, answers in asked if trial.purpose == "held out"]
    rows = np.concatenate([trial.test for trial, _ in held_out])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    targets = dataset.targets[rows]
    predicted = np.concatenate([answers.predicted for _, answers in held_out])[order]
    scores = np.concatenate([answers.scores for _, answers in held_out])[order]
    ranks = rank_candidates(predicted, scores, targets)
    evaluation = {
        "protocol": f"leave one {'session' if dataset.has_sessions else 'repetition'} out",
        "folds": len(held_out),
        **_recognition(ranks, targets, seed),
        "macroF1": _rounded(f1_score(targets, predicted, average="macro")),
        "cmc": [
            _rounded(share) for share in cumulative_match(ranks, min(CMC_RANKS, scores.shape[1]))
        ],
        **_likelihood(model, scores, targets, seed),
        "training": {
            "n": len(training_ranks),
            "rank1": _share(training_ranks, 1),
            "rank5": _share(training_ranks, 5),
        },
        "membershipAuc": _membership(model, held_out),
        "perUser": _per_user(ranks, targets),
    }
    probability = _probabilities(model, scores)
    calibration = []
    if probability is not None:
        calibration = calibration_curve(probability.max(axis=1), ranks == 1)
    disturbed = {
        name: float(
            np.mean(np.concatenate([answers.disturbed[name] for _, answers in held_out]) == 1)
        )
        for name in held_out[0][1].disturbed
    }
    decision, trade_offs = None, {}
    if model.features == "timings":
        decision, trade_offs = _decide(asked, dataset, evaluation, seed)
    return Assessment(
        evaluation, decision, targets, predicted, ranks, calibration, disturbed, trade_offs
    )


def hides_scores(evaluation: dict) -> bool:
    """Whether returned scores tell so well who was in the training set that they are left out
    unless asked for.
    """
    return evaluation["membershipAuc"] >= MOST_MEMBERSHIP_AUC


def _recognition(ranks: np.ndarray, targets: np.ndarray, seed: int) -> dict:
    return {
        "n": len(ranks),
        "rank1": _share(ranks, 1),
        "rank1Interval": _interval(ranks == 1, targets, seed),
        "rank5": _share(ranks, 5),
        "rank5Interval": _interval(ranks <= 5, targets, seed),
    }


def _likelihood(model: Model, scores: np.ndarray, targets: np.ndarray, seed: int) -> dict:
    probability = _probabilities(model, scores)
    if probability is None:
        return {}
    own = np.take_along_axis(probability, targets[:, np.newaxis], axis=1)[:, 0]
    loss = -np.log(np.maximum(own, np.finfo(np.float32).eps))
    best, right = probability.max(axis=1), probability.argmax(axis=1) == targets
    users = targets.max() + 1

    def error(times: np.ndarray) -> float:
        drawn = np.repeat(np.arange(len(targets)), times[targets])
        return calibration_error(best[drawn], right[drawn])

    return {
        "logLoss": _rounded(loss.mean()),
        "logLossInterval": _interval(loss, targets, seed),
        "calibrationError": _rounded(calibration_error(best, right)),
        "calibrationErrorInterval": [_rounded(bound) for bound in resampled(error, users, seed)],
    }


def _probabilities(model: Model, scores: np.ndarray) -> np.ndarray | None:
    """What the scores [n, classes] give as probabilities, if that is what they are."""
    if model.name in _NO_PROBABILITY:
        return None
    scores = scores.astype(np.float64)
    return np.exp(log_softmax(scores)) if model.features == "timings" else scores


def _returned(model: Model, scores: np.ndarray) -> np.ndarray:
    """The score of the best candidate [n] as the service returns it."""
    probability = _probabilities(model, scores)
    return scores.max(axis=1) if probability is None else probability.max(axis=1)


def _membership(model: Model, held_out: Asked) -> float:
    """How often the best returned score of a row that the model was fitted on is above that of
    a held-out one: 0.5 tells nothing, 1 tells everything (Yeom 2018).
    """
    areas = [
        area_under_curve(_returned(model, answers.top_scores), _returned(model, answers.scores))
        for _, answers in held_out
    ]
    return _rounded(np.mean(areas))


def _per_user(ranks: np.ndarray, targets: np.ndarray) -> dict:
    shares = np.bincount(targets, weights=ranks == 1) / np.bincount(targets)
    least, lower, median, upper, most = np.percentile(shares, [0, 25, 50, 75, 100])
    return {
        "min": _rounded(least),
        "lowerQuartile": _rounded(lower),
        "median": _rounded(median),
        "upperQuartile": _rounded(upper),
        "max": _rounded(most),
        "belowHalf": int((shares < 0.5).sum()),
    }


def _decide(
    asked: Asked, dataset: Dataset, evaluation: dict, seed: int
) -> tuple[dict, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """The decision of a model of raw timings; adds to `evaluation` what it is measured to do."""
    later = [(trial, answers) for trial, answers in asked if trial.purpose == "later"]
    for trial, answers in later:
        targets = dataset.targets[trial.test]
        ranks = rank_candidates(answers.predicted, answers.scores, targets)
        protocol = "the first three quarters of a user's typings, then the last"
        evaluation["later"] = {"protocol": protocol, **_recognition(ranks, targets, seed)}
    correlation = _correlation(asked, dataset)
    evaluation["attempts"] = []
    for attempts in range(2, MOST_ATTEMPTS + 1):
        groups = _grouped(asked, "attempts", attempts, dataset, correlation)
        if groups:
            ranks = np.concatenate(
                [rank_candidates(g.evidence.argmax(axis=1), g.evidence, g.users) for g in groups]
            )
            users = np.concatenate([g.users for g in groups])
            evaluation["attempts"].append(
                {"attempts": attempts, **_recognition(ranks, users, seed)}
            )
    identification, verification, trade_offs = [], [], {}
    strangers, claims = [], []
    for attempts in range(1, MOST_ATTEMPTS + 1):
        purpose = "held out" if attempts == 1 else "attempts"
        own = _grouped(asked, purpose, attempts, dataset, correlation)
        strange = _grouped(asked, "strangers", attempts, dataset, correlation)
        if not strange and attempts > 1:
            continue
        claimed = _claimed(own, strange)
        points, measured = _identification(own, strange, claimed, attempts, seed)
        identification += points
        strangers.append(measured)
        points, measured, trade_offs[attempts] = _verification(claimed, attempts, seed)
        verification += points
        claims.append(measured)
    parts = stranger_folds(len(dataset.classes)).max() + 1
    if parts > 0:
        protocol = f"one of {parts} parts of the users are strangers, in turn, the others known"
        evaluation["strangers"] = {"protocol": protocol, "attempts": strangers}
        protocol += "; strangers claim to be each of the known"
    else:
        protocol = "known users claim to be each other: there are too few for strangers"
    evaluation["verification"] = {"protocol": protocol, "attempts": claims}
    enrolment = _enrolment(asked, correlation, seed)
    if enrolment is not None:
        evaluation["enrolment"] = enrolment
    decision = {
        "correlation": correlation,
        "identification": {**asdict(STATISTIC), "points": identification},
        "verification": {**asdict(STATISTIC), "points": verification},
    }
    return decision, trade_offs


def _enrolment(asked: Asked, correlation: float, seed: int) -> dict | None:
    """Verification of users whom the model was not fitted on."""
    trials = [(trial, found) for trial, found in asked if trial.purpose == "enrolment"]
    if not trials:
        return None
    measured = []
    for attempts in (1, 2):
        parts = [_enrolled(found, attempts, correlation, trial.fold) for trial, found in trials]
        _, rates, _ = _verification(_joined(parts), attempts, seed)
        measured.append(rates)
    return {
        "protocol": f"users unknown to the model, enrolled with {ENROLLED} typings in a row; "
        "impostors are other unknown users",
        "attempts": measured,
    }


def _enrolled(found: Enrolled, attempts: int, correlation: float, fold: int) -> _Scores:
    """The statistic of every probe's claim to be each of the unknown users: so many probes in a
    row together.
    """
    starts = range(PROBES - attempts + 1)
    evidence, cohort = (
        np.concatenate([fuse(values[:, start : start + attempts], correlation) for start in starts])
        for values in (found.evidence, found.cohort)
    )
    users = np.tile(found.users, len(starts))
    statistic = STATISTIC.of_claim(evidence, cohort)
    own = users[:, np.newaxis] == found.claimed
    false_users = np.repeat(users, len(found.claimed) - 1)
    return _Scores(
        right=statistic[own],
        found=np.ones(len(users), bool),
        users=users,
        folds=np.full(len(users), fold),
        false=statistic[~own],
        false_users=false_users,
        false_folds=np.full(len(false_users), fold),
    )


def _joined(parts: list[_Scores]) -> _Scores:
    return _Scores(*(np.concatenate(column) for column in zip(*map(astuple, parts), strict=True)))


def _correlation(asked: Asked, dataset: Dataset) -> float:
    """What makes the posterior of two attempts calibrated; 0 where nobody has three typings."""
    pairs = _grouped(asked, "attempts", 2, dataset, correlation=0.0)
    if not pairs:
        return 0.0
    evidence = np.concatenate([pair.evidence for pair in pairs])[..., np.newaxis]
    factor = learn_weights(evidence, np.concatenate([pair.users for pair in pairs]))[0]
    return _rounded(float(np.clip(1 / max(factor, 0.5) - 1, 0, 1)))


def _grouped(
    asked: Asked, purpose: str, attempts: int, dataset: Dataset, correlation: float
) -> list[Groups]:
    """The groups of so many attempts in a row, for each trial of that purpose that has them."""
    span = attempts
    if purpose == "attempts":  # held out in blocks, which groups keep to
        sizes = TOGETHER[-1:] if dataset.has_sessions else TOGETHER
        span = min(size for size in sizes if size >= attempts)
    folds = stranger_folds(len(dataset.classes))
    groups = []
    for trial, answers in asked:
        if trial.purpose != purpose or (purpose == "attempts" and trial.attempts != span):
            continue
        users, turns = dataset.targets[trial.test], dataset.turns[trial.test]
        # By user, session, block and place in that; incomplete groups don't count.
        key = np.stack(
            [users, dataset.sittings[trial.test], turns // span, turns % span // attempts], axis=1
        )
        _, group, sizes = np.unique(key, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(group, kind="stable")
        order = order[(sizes == attempts)[group[order]]]
        if len(order) == 0:
            continue
        evidence = answers.scores[order].astype(np.float64)
        evidence = evidence.reshape(-1, attempts, evidence.shape[1])
        users = users[order][::attempts]
        groups.append(Groups(fuse(evidence, correlation), users, answers.known, folds[users]))
    return groups


def _identified(groups: list[Groups]) -> tuple[np.ndarray, np.ndarray]:
    """The statistic of the best candidates, and whether they are right."""
    statistic, right = [], []
    for group in groups:
        best = group.evidence.argmax(axis=1)
        every = STATISTIC.of_all(group.evidence)
        statistic.append(np.take_along_axis(every, best[:, np.newaxis], axis=1)[:, 0])
        right.append(best == group.places)
    return _joined_arrays(statistic), _joined_arrays(right).astype(bool)


def _claimed(own: list[Groups], strange: list[Groups]) -> _Scores:
    """The statistic of claims: of known users to be themselves, and false ones: of strangers to
    be each of the known or, where there are no strangers, of the known to be each other.
    """
    right = [
        np.take_along_axis(STATISTIC.of_all(group.evidence), group.places[:, np.newaxis], axis=1)[
            :, 0
        ]
        for group in own
    ]
    false, users, folds = [], [], []
    for group in strange or own:
        wrong = np.arange(group.evidence.shape[1]) != group.places[:, np.newaxis]
        false.append(STATISTIC.of_all(group.evidence)[wrong])
        users.append(np.repeat(group.users, wrong.sum(axis=1)))
        folds.append(np.repeat(group.folds, wrong.sum(axis=1)))
    return _Scores(
        right=_joined_arrays(right),
        found=np.ones(sum(map(len, right)), bool),
        users=_joined_arrays([group.users for group in own]).astype(np.int64),
        folds=_joined_arrays([group.folds for group in own]),
        false=_joined_arrays(false),
        false_users=_joined_arrays(users).astype(np.int64),
        false_folds=_joined_arrays(folds),
    )


def _joined_arrays(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0)


def _identification(
    own: list[Groups], strange: list[Groups], claims: _Scores, attempts: int, seed: int
) -> tuple[list[dict], dict]:
    right, found = _identified(own)
    false, _ = _identified(strange)
    strangers = len(false) > 0
    if strangers:
        false_users = np.concatenate([group.users for group in strange])
        false_folds = np.concatenate([group.folds for group in strange])
    else:  # what may be let through is read off false claims
        false, false_users, false_folds = claims.false, claims.false_users, claims.false_folds
    scores = _Scores(right, found, claims.users, claims.folds, false, false_users, false_folds)
    points, measured = [], []
    for fpir in _supported(FPIR, DEFAULT_FPIR, len(false)):
        share = None
        if strangers and len(scores.right) > 0:
            passed, accepted = scores.passed(fpir)
            share = _rounded((passed & scores.found).mean())
            measured.append(
                {
                    "fpir": fpir,
                    "identified": share,
                    "identifiedInterval": _interval(passed & scores.found, scores.users, seed),
                    "realisedFpir": _rounded(accepted.mean()),
                }
            )
        points.append(
            {
                "attempts": attempts,
                "fpir": fpir,
                "threshold": _significant(threshold_for(false, fpir)),
                "fnir": None if share is None else _rounded(1 - share),
            }
        )
    found = {
        "attempts": attempts,
        "n": len(scores.right),
        "strangers": len(false) if strangers else 0,
    }
    if measured:
        found["auroc"] = _rounded(area_under_curve(scores.right, scores.false))
    return points, {**found, "points": measured}


def _verification(
    scores: _Scores, attempts: int, seed: int
) -> tuple[list[dict], dict, tuple[np.ndarray, np.ndarray]]:
    points, measured = [], []
    for fmr in _supported(FMR, DEFAULT_FMR, len(scores.false)):
        share = None
        if len(scores.right) > 0:
            passed, accepted = scores.passed(fmr)
            share = _rounded(1 - passed.mean())
            measured.append(
                {
                    "fmr": fmr,
                    "fnmr": share,
                    "fnmrInterval": _interval(~passed, scores.users, seed),
                    "realisedFmr": _rounded(accepted.mean()),
                }
            )
        points.append(
            {
                "attempts": attempts,
                "fmr": fmr,
                "threshold": _significant(threshold_for(scores.false, fmr)),
                "fnmr": share,
            }
        )
    found = {"attempts": attempts, "genuine": len(scores.right), "impostor": len(scores.false)}
    trade_off = (np.zeros(0), np.zeros(0))
    if len(scores.right) > 0:
        by_user = ErrorRates(scores.right, scores.users, scores.false, scores.false_users)
        found["eer"] = _rounded(by_user.equal())
        found["eerInterval"] = [_rounded(bound) for bound in by_user.equal_interval(seed)]
        trade_off = by_user.trade_off()
    return points, {**found, "points": measured}, trade_off


def _supported(rates: tuple[float, ...], default: float, false: int) -> list[float]:
    """The rates that so many false scores can tell, one of which would be passed; and that
    which holds where a request names none, whatever it is worth.
    """
    return [rate for rate in rates if rate * false >= 1 or rate == default]


def _share(ranks: np.ndarray, upto: int) -> float:
    return _rounded((ranks <= upto).mean())


def _interval(values: np.ndarray, users: np.ndarray, seed: int) -> list[float]:
    return [_rounded(bound) for bound in interval(values, users, seed)]


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _significant(threshold: float) -> float:
    """The threshold in six digits, and not a bit lower: it is just above a score."""
    return float(Context(prec=6, rounding=ROUND_CEILING).create_decimal_from_float(threshold))
