"""Measures the models on typings they were not trained on: leave one repetition out.

The k-th typing of a user in file order is repetition k, and is held out in fold k mod folds.
Training data, so every user, is in every fold; only the held-out typings are new.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from sklearn.metrics import f1_score
from tqdm import tqdm

from keystroke_training.data import Dataset
from keystroke_training.models import REFERENCES, Estimator, predict, score

PROTOCOL = "leave one repetition out"
MAX_FOLDS = 10
RESAMPLES = 10_000


@dataclass(frozen=True)
class Evaluation:
    """Answers of one kind of model, all arrays [rows] in file order.

    `predicted` are class indices and `ranks` the true user's position among the candidates,
    1 being the best, for held-out rows; `training_ranks` are those of the model trained on
    all rows for its own training rows.
    """

    folds: int
    targets: np.ndarray
    predicted: np.ndarray
    ranks: np.ndarray
    training_ranks: np.ndarray

    def to_json(self, seed: int) -> dict:
        """The figures for the manifest, rounded to four decimals."""
        return {
            "protocol": PROTOCOL,
            "folds": self.folds,
            "n": len(self.ranks),
            "rank1": _share(self.ranks, 1),
            "rank1Interval": rank1_interval(self.ranks, self.targets, seed),
            "rank5": _share(self.ranks, 5),
            "macroF1": round(float(f1_score(self.targets, self.predicted, average="macro")), 4),
            "training": {
                "n": len(self.training_ranks),
                "rank1": _share(self.training_ranks, 1),
                "rank5": _share(self.training_ranks, 5),
            },
        }


def evaluate(dataset: Dataset, fitted: dict[str, Estimator], seed: int) -> dict[str, Evaluation]:
    """Evaluate every reference model; `fitted` are those trained on all rows, by name.

    Folds run on all cores; every fit has one thread and the pinned seed, so the figures do
    not depend on the number of cores. Shows progress.
    """
    fold_of = dataset.repetitions % fold_count(dataset)
    answers = {name: np.zeros((2, len(fold_of)), np.int64) for name in fitted}
    for name, fold, predicted, ranks in _run_folds(dataset, fold_of, seed):
        answers[name][:, fold_of == fold] = predicted, ranks
    return {
        name: Evaluation(
            folds=fold_count(dataset),
            targets=dataset.targets,
            predicted=answers[name][0],
            ranks=answers[name][1],
            training_ranks=rank_candidates(estimator, dataset.rows, dataset.targets)[1],
        )
        for name, estimator in fitted.items()
    }


def fold_count(dataset: Dataset) -> int:
    """Number of folds: the most repetitions any user has, at most MAX_FOLDS."""
    return min(int(dataset.repetitions.max()) + 1, MAX_FOLDS)


def rank_candidates(
    estimator: Estimator, rows: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted class indices [n] and the ranks [n] of the true ones.

    Candidates stand in the service's order: the label first, whatever its score, the others
    by descending float32 score, the lower class first among equals.
    """
    # Narrowed as the service narrows them.
    rows = rows.astype(np.float32).astype(np.float64)
    predicted = predict(estimator, rows)
    scores = score(estimator, rows).astype(np.float32)
    own = np.take_along_axis(scores, targets[:, np.newaxis], axis=1)
    lower = np.arange(scores.shape[1]) < targets[:, np.newaxis]
    before = (scores > own) | ((scores == own) & lower)
    # The label is before everyone else, and nobody is before the label.
    np.put_along_axis(before, predicted[:, np.newaxis], values=True, axis=1)
    ranks = np.where(predicted == targets, 1, 1 + before.sum(axis=1))
    return predicted, ranks


def cumulative_match(ranks: np.ndarray, upto: int) -> np.ndarray:
    """The CMC curve: share of rows whose true user is at rank 1, 2, … `upto` or better."""
    return np.array([(ranks <= rank).mean() for rank in range(1, upto + 1)])


def rank1_interval(ranks: np.ndarray, targets: np.ndarray, seed: int) -> list[float]:
    """95 % percentile bootstrap interval of rank-1, resampling users: the typings of one user
    are not independent of each other.
    """
    hits = np.bincount(targets, weights=ranks == 1)
    sizes = np.bincount(targets)
    users = np.random.default_rng(seed).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    shares = hits[users].sum(axis=1) / sizes[users].sum(axis=1)
    return [round(float(bound), 4) for bound in np.percentile(shares, [2.5, 97.5])]


def _run_folds(
    dataset: Dataset, fold_of: np.ndarray, seed: int
) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Yield (model, fold, predicted, ranks) as folds finish."""
    # Slowest models first, so that the cores finish together.
    jobs = [
        (reference.name, fold)
        for reference in reversed(REFERENCES)
        for fold in range(int(fold_of.max()) + 1)
    ]
    # Not forked: a fork of a process whose libraries have started threads may hang.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        futures = {
            pool.submit(
                _evaluate_fold, name, dataset.rows, dataset.targets, fold_of == fold, seed
            ): (name, fold)
            for name, fold in jobs
        }
        progress = tqdm(
            as_completed(futures),
            desc="folds",
            total=len(futures),
            disable=not sys.stderr.isatty(),
        )
        for number, future in enumerate(progress, start=1):
            name, fold = futures[future]
            if progress.disable:
                print(f"fold {fold} of {name} done ({number} of {len(futures)})", flush=True)
            yield name, fold, *future.result()


def _evaluate_fold(
    name: str, rows: np.ndarray, targets: np.ndarray, held_out: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted classes and ranks of the held-out rows of one fold, in file order."""
    reference = next(reference for reference in REFERENCES if reference.name == name)
    kept = targets[~held_out]
    assert len(np.unique(kept)) == targets.max() + 1, "a user is missing from training"
    estimator = reference.fit(rows[~held_out], kept, seed)
    return rank_candidates(estimator, rows[held_out], targets[held_out])


def _share(ranks: np.ndarray, upto: int) -> float:
    return round(float((ranks <= upto).mean()), 4)
