"""Reads off what the trials of one model say: how well it recognises, and where to decide.

Decisions are set on strangers: users that the trial's models were not fitted on, while they were
fitted on all typings of the others, as the shipped ones are. A published threshold is set on all
strangers; what it is said to do is measured with thresholds set without the part of the users
that it is measured on. True claims are of held-out typings, so of models that were fitted on one
typing less, or on as many less as there are attempts: that weighs against them.
"""

from dataclasses import asdict, dataclass, field

import numpy as np
from sklearn.metrics import f1_score

from keystroke_training.calibration import learn_weights, log_softmax
from keystroke_training.data import Dataset
from keystroke_training.decisions import (
    DEFAULT_FPIR,
    FPIR,
    MOST_ATTEMPTS,
    Statistic,
    fuse,
)
from keystroke_training.enrolment import Findings, read_off
from keystroke_training.enrolment_trial import Enrolled
from keystroke_training.evaluate import (
    TOGETHER,
    Answers,
    Trial,
    rank_candidates,
    stranger_folds,
)
from keystroke_training.measures import (
    area_under_curve,
    calibration_curve,
    calibration_error,
    cumulative_match,
    resampled,
    threshold_for,
)
from keystroke_training.models import Model
from keystroke_training.verification import (
    Scores,
    rounded,
    rounded_interval,
    significant,
    supported,
    verify,
)

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
    # Of users whom the model was not fitted on.
    enrolment: Findings | None = None


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
        "macroF1": rounded(f1_score(targets, predicted, average="macro")),
        "cmc": [
            rounded(share) for share in cumulative_match(ranks, min(CMC_RANKS, scores.shape[1]))
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
    enrolled = [answers for trial, answers in asked if trial.purpose == "enrolment"]
    enrolment = read_off(enrolled, stranger_folds(len(dataset.classes)), seed) if enrolled else None
    if enrolment is not None:
        evaluation["enrolment"] = enrolment.evaluation
    return Assessment(
        evaluation,
        decision,
        targets,
        predicted,
        ranks,
        calibration,
        disturbed,
        trade_offs,
        enrolment,
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
        "rank1Interval": rounded_interval(ranks == 1, targets, seed),
        "rank5": _share(ranks, 5),
        "rank5Interval": rounded_interval(ranks <= 5, targets, seed),
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
        "logLoss": rounded(loss.mean()),
        "logLossInterval": rounded_interval(loss, targets, seed),
        "calibrationError": rounded(calibration_error(best, right)),
        "calibrationErrorInterval": [rounded(bound) for bound in resampled(error, users, seed)],
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
    return rounded(np.mean(areas))


def _per_user(ranks: np.ndarray, targets: np.ndarray) -> dict:
    shares = np.bincount(targets, weights=ranks == 1) / np.bincount(targets)
    least, lower, median, upper, most = np.percentile(shares, [0, 25, 50, 75, 100])
    return {
        "min": rounded(least),
        "lowerQuartile": rounded(lower),
        "median": rounded(median),
        "upperQuartile": rounded(upper),
        "max": rounded(most),
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
        points, measured, trade_offs[attempts] = verify(claimed, attempts, seed)
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
    decision = {
        "correlation": correlation,
        "identification": {**asdict(STATISTIC), "points": identification},
        "verification": {**asdict(STATISTIC), "points": verification},
    }
    return decision, trade_offs


def _correlation(asked: Asked, dataset: Dataset) -> float:
    """What makes the posterior of two attempts calibrated; 0 where nobody has three typings."""
    pairs = _grouped(asked, "attempts", 2, dataset, correlation=0.0)
    if not pairs:
        return 0.0
    evidence = np.concatenate([pair.evidence for pair in pairs])[..., np.newaxis]
    factor = learn_weights(evidence, np.concatenate([pair.users for pair in pairs]))[0]
    return rounded(float(np.clip(1 / max(factor, 0.5) - 1, 0, 1)))


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


def _claimed(own: list[Groups], strange: list[Groups]) -> Scores:
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
    return Scores(
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
    own: list[Groups], strange: list[Groups], claims: Scores, attempts: int, seed: int
) -> tuple[list[dict], dict]:
    right, found = _identified(own)
    false, _ = _identified(strange)
    strangers = len(false) > 0
    if strangers:
        false_users = np.concatenate([group.users for group in strange])
        false_folds = np.concatenate([group.folds for group in strange])
    else:  # what may be let through is read off false claims
        false, false_users, false_folds = claims.false, claims.false_users, claims.false_folds
    scores = Scores(right, found, claims.users, claims.folds, false, false_users, false_folds)
    points, measured = [], []
    for fpir in supported(FPIR, DEFAULT_FPIR, len(false)):
        share = None
        if strangers and len(scores.right) > 0:
            passed, accepted = scores.passed(fpir)
            share = rounded((passed & scores.found).mean())
            measured.append(
                {
                    "fpir": fpir,
                    "identified": share,
                    "identifiedInterval": rounded_interval(
                        passed & scores.found, scores.users, seed
                    ),
                    "realisedFpir": rounded(accepted.mean()),
                }
            )
        points.append(
            {
                "attempts": attempts,
                "fpir": fpir,
                "threshold": significant(threshold_for(false, fpir)),
                "fnir": None if share is None else rounded(1 - share),
            }
        )
    found = {
        "attempts": attempts,
        "n": len(scores.right),
        "strangers": len(false) if strangers else 0,
    }
    if measured:
        found["auroc"] = rounded(area_under_curve(scores.right, scores.false))
    return points, {**found, "points": measured}


def _share(ranks: np.ndarray, upto: int) -> float:
    return rounded((ranks <= upto).mean())
