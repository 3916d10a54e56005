"""Measures the models on typings they were not fitted on, and on users they do not know.

Every figure comes from a `Trial`: fit models on some rows, ask about others. The trials are
laid out here and run on all cores; what is read off them is in `assessment`.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np
from tqdm import tqdm

from keystroke_training.data import Dataset, folds
from keystroke_training.disturbances import DISTURBANCES
from keystroke_training.enrolment_trial import Enrolled, enrol, splits
from keystroke_training.features import narrowed
from keystroke_training.models import MODELS, Estimator, Model, fit_models, predict, score

# One fit serves several questions, so models that are made of each other share trials.
_OF_TIMINGS = ("templates", "trees", "best")
STRANGER_FOLDS = 4
MAX_BLOCKS = 4
TOGETHER = FEWEST_TOGETHER, MOST_TOGETHER = 2, 4  # attempts that are held out in a row
LATER_SHARE = 0.25  # of a user's typings, the last ones


@dataclass(frozen=True)
class Trial:
    """Fit the models `names` on the rows `train`, ask about the rows `test` (indices).

    The users of `train` are known; those of `test` that are not among them are strangers, of
    that `fold`. Up to so many `attempts` of a user in `test` come one after the other.
    """

    purpose: str
    names: tuple[str, ...]
    train: np.ndarray
    test: np.ndarray
    attempts: int = 1
    fold: int = -1


@dataclass(frozen=True)
class Answers:
    """What a model answers in a trial about its n rows, `known` being the class indices [users]
    it can name: `predicted` [n] class indices, `scores` float32 [n, users].

    `top_scores` of the rows it was fitted on, and `disturbed` ranks by name of the disturbance,
    are there in trials that hold out rows of known users only.
    """

    known: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray
    top_scores: np.ndarray | None = None
    disturbed: dict[str, np.ndarray] = field(default_factory=dict)


def lay_out(dataset: Dataset, names: list[str], wanted: int | None = None) -> list[Trial]:
    """Return the trials for the models wanted; `wanted` is how many folds to hold out.

    - "held out": leave one repetition (or session) out, for every model;
    - "later": fit on the first typings of every user, ask about the last quarter;
    - "attempts": several repetitions in a row held out together, two or four;
    - "strangers": a part of the users left out, and the models fitted on all typings of the
      others, as the ones that are shipped are;
    - "enrolment": other parts of the users left out, and enrolled with a few typings.

    All but the first are for models of raw timings, the last for templates.
    """
    fold_of = folds(dataset, wanted=wanted)
    groups = [(name,) for name in names if name not in _OF_TIMINGS]
    ours = tuple(name for name in _OF_TIMINGS if name in names)
    held_out = [fold_of == fold for fold in range(fold_of.max() + 1)]
    trials = [
        _trial("held out", group, ~out, out)
        for group in [*groups, *([ours] if ours else [])]
        for out in held_out
    ]
    if not ours:
        return trials
    last = _last(dataset)
    if last.any():
        trials.append(_trial("later", ours, ~last, last))
    stranger_of = stranger_folds(len(dataset.classes))[dataset.targets]
    # Sessions are held out whole, whatever the number of attempts.
    for attempts in TOGETHER[-1:] if dataset.has_sessions else TOGETHER:
        trials += [
            _trial("attempts", ours, ~out, out, attempts) for out in _blocks(dataset, attempts)
        ]
    for fold in range(stranger_of.max() + 1):
        strangers = stranger_of == fold
        trials.append(_trial("strangers", ours, ~strangers, strangers, 1, fold))
    if "templates" in ours:
        trials += [
            _trial("enrolment", ("templates",), ~unseen, unseen, 1, split)
            for split, unseen in enumerate(splits(dataset))
        ]
    # Those of many trees first, so that the cores finish together.
    return sorted(trials, key=lambda trial: -len(trial.names))


def stranger_folds(users: int) -> np.ndarray:
    """Fold in which each user is a stranger, [users]; two users at least stay known.

    Not by chance, but every fourth in class order: users are in no order that matters.
    """
    return np.arange(users) % STRANGER_FOLDS if users > 2 else np.full(2, -1)


def run(trials: list[Trial], dataset: Dataset, seed: int) -> Iterator[tuple[Trial, dict]]:
    """Yield each trial with its Answers by model name, as trials finish. Shows progress.

    Every fit has one thread and the pinned seed, so answers do not depend on the cores.
    """
    # Not forked: a fork of a process whose libraries have started threads may hang.
    with ProcessPoolExecutor(
        os.cpu_count(), get_context("spawn"), initializer=_receive, initargs=(dataset, seed)
    ) as pool:
        futures = {pool.submit(_run_trial, trial): trial for trial in trials}
        progress = tqdm(
            as_completed(futures),
            desc="measuring",
            total=len(futures),
            disable=not sys.stderr.isatty(),
        )
        for number, future in enumerate(progress, start=1):
            trial = futures[future]
            if progress.disable:
                done = f"{trial.purpose}: {', '.join(trial.names)}"
                print(f"{done} ({number} of {len(futures)})", flush=True)
            yield trial, future.result()


def rank_candidates(predicted: np.ndarray, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the ranks [n] of the true classes `targets` among the candidates, 1 being the best.

    Candidates stand in the service's order: the label `predicted` first, whatever its score,
    the others by descending float32 score [n, classes], the lower class first among equals.
    """
    scores = scores.astype(np.float32)
    own = np.take_along_axis(scores, targets[:, np.newaxis], axis=1)
    lower = np.arange(scores.shape[1]) < targets[:, np.newaxis]
    before = (scores > own) | ((scores == own) & lower)
    # The label is before everyone else, and nobody is before the label.
    np.put_along_axis(before, predicted[:, np.newaxis], values=True, axis=1)
    return np.where(predicted == targets, 1, 1 + before.sum(axis=1))


def ask(estimator: Estimator, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted class indices [n] and scores [n, classes] for rows [n, features],
    narrowed to float32 first as the service narrows them.
    """
    rows = narrowed(rows)
    return predict(estimator, rows), score(estimator, rows)


def _trial(
    purpose: str, names: tuple[str, ...], train: np.ndarray, test: np.ndarray, *others: int
) -> Trial:
    return Trial(purpose, names, np.flatnonzero(train), np.flatnonzero(test), *others)


def _last(dataset: Dataset) -> np.ndarray:
    """Mask of the last quarter of every user's typings, or sessions."""
    units = dataset.units
    most = np.zeros(len(dataset.classes), np.int64)
    np.maximum.at(most, dataset.targets, units + 1)
    counts = most[dataset.targets]
    return units >= counts - np.floor(counts * LATER_SHARE)


def _blocks(dataset: Dataset, attempts: int) -> list[np.ndarray]:
    """Masks of rows to hold out together: sessions; where there are none, so many repetitions in
    a row of every user who has more than that, and the first one of the others.
    """
    if dataset.has_sessions:
        block = dataset.sittings % min(int(dataset.sittings.max()) + 1, MAX_BLOCKS)
        return [block == number for number in range(block.max() + 1)]
    counts = np.bincount(dataset.targets)[dataset.targets]
    most = int(counts.max())
    if most <= attempts and attempts > FEWEST_TOGETHER:
        return []
    blocks = max(1, min(most // attempts, MAX_BLOCKS))
    complete = dataset.repetitions < counts // attempts * attempts
    block = dataset.repetitions // attempts % blocks
    single = (counts <= attempts) & (dataset.repetitions == 0)
    return [
        np.where(counts > attempts, complete & (block == number), single & (number == 0))
        for number in range(blocks)
    ]


def _receive(dataset: Dataset, seed: int) -> None:
    """Keep in a worker what all its trials share."""
    globals()["_shared"] = dataset, seed


def _run_trial(trial: Trial) -> dict[str, Answers | Enrolled]:
    dataset, seed = globals()["_shared"]
    if trial.purpose == "enrolment":
        return {"templates": enrol(dataset, trial.train, trial.test, trial.fold)}
    rows = dataset.features
    known, targets = np.unique(dataset.targets[trial.train], return_inverse=True)
    models = [model for model in MODELS if model.name in trial.names]
    keys = dataset.press.shape[1]
    fitted = fit_models(
        models, {name: values[trial.train] for name, values in rows.items()}, targets, seed, keys
    )
    return {
        model.name: _answers(model, fitted[model.name], trial, dataset, known) for model in models
    }


def _answers(
    model: Model, estimator: Estimator, trial: Trial, dataset: Dataset, known: np.ndarray
) -> Answers:
    rows = dataset.features[model.features]
    predicted, scores = ask(estimator, rows[trial.test])
    answers = Answers(known, known[predicted], scores.astype(np.float32))
    if trial.purpose != "held out":
        return answers
    targets = np.searchsorted(known, dataset.targets[trial.test])
    disturbed = {}
    for name, disturb in DISTURBANCES.items():
        changed = disturb(dataset, trial.test).features[model.features]
        disturbed[name] = rank_candidates(*ask(estimator, changed), targets)
    top = ask(estimator, rows[trial.train])[1].astype(np.float32)
    return Answers(known, answers.predicted, answers.scores, top, disturbed)
