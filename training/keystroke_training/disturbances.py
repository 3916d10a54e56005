"""What clocks and networks do to timings: noise and coarse ticks."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from keystroke_training.data import Dataset

JITTER_MS = (2, 4, 8, 16)
TICK_MS = (1, 8, 16, 32)
_SEED = 20_250_101


def _jittered(dataset: Dataset, rows: np.ndarray, deviation: float) -> Dataset:
    """Rows whose every press and release moved by normal noise of that deviation, ms; a release
    before its press, or a press before the one in front, is put off until it may come.
    """
    random = np.random.default_rng(_SEED)
    shape = (2, len(dataset.targets), dataset.press.shape[1])
    noise = deviation * random.standard_normal(shape)[:, rows]
    press = np.maximum.accumulate(dataset.press[rows] + noise[0], axis=1)
    release = np.maximum(dataset.release[rows] + noise[1], press)
    return _only(dataset, rows, press, release)


def _ticked(dataset: Dataset, rows: np.ndarray, tick: float) -> Dataset:
    """Rows as a clock tells them that only knows multiples of so many ms."""
    press, release = (
        np.floor(times[rows] / tick) * tick for times in (dataset.press, dataset.release)
    )
    return _only(dataset, rows, press, release)


def _only(dataset: Dataset, rows: np.ndarray, press: np.ndarray, release: np.ndarray) -> Dataset:
    return replace(
        dataset,
        targets=dataset.targets[rows],
        sessions=dataset.sessions[rows],
        press=press,
        release=release,
    )


# By name, each gives the rows [n] (indices) of a dataset as a dataset of their own, disturbed.
DISTURBANCES: dict[str, Callable[[Dataset, np.ndarray], Dataset]] = {
    **{f"jitter {ms} ms": partial(_jittered, deviation=ms) for ms in JITTER_MS},
    **{f"clock {ms} ms": partial(_ticked, tick=ms) for ms in TICK_MS},
}
