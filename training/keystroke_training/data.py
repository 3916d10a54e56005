"""Reads a CSV file of typings and refuses, by line and column, what cannot be trained on.

Every row is one typing of the same text, of at least two keys. The header tells which layout
the file has: the project's own, or that of CMU's benchmark. Blank lines and a byte order mark
are tolerated, nothing else is.

Typings of one sitting resemble each other more than those of another day, so a model is only
measured honestly on sessions that it was not trained on. Where a file tells sessions apart,
the folds keep them apart, and every user needs two of them: with one, a user would be held out
with nothing left to be trained on. A file where some have one and others more is refused. To
train on it anyway, leave the session out, or write the same for all: typings are then held out
instead of sessions.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from keystroke_training.features import features, timing_features
from keystroke_training.reading import cmu, own
from keystroke_training.reading.table import (
    MAX_SAFE_INTEGER,
    DataError,
    Row,
    Typing,
    raise_if_any,
    read_lines,
)

MIN_USERS = 2
MIN_REPETITIONS = 2  # one to hold out, one to train on
MAX_FOLDS = 10

_INTEGER_ID = re.compile(r"0|-?[1-9][0-9]{0,15}")


@dataclass(frozen=True)
class Dataset:
    """Typings in file order.

    `classes` are the user ids in ascending order, `targets` [rows] the index of each row's
    user in it, `press` and `release` [rows, keys] times in ms, `sessions` [rows] the number of
    the sitting as the file has it, 0 where it has none, `sha256` that of the file.
    """

    classes: list[int] | list[str]
    targets: np.ndarray
    press: np.ndarray
    release: np.ndarray
    sessions: np.ndarray
    sha256: str

    @cached_property
    def rows(self) -> np.ndarray:
        """Feature rows, float64 [rows, 8]."""
        return features(self.press, self.release)

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Feature rows, float64 [rows, features], by the name of what they hold."""
        return {"summary": self.rows, "timings": timing_features(self.press, self.release)}

    @cached_property
    def repetitions(self) -> np.ndarray:
        """Which typing of its user each row is, counted from 0 in file order, [rows]."""
        return occurrences(self.targets)

    @property
    def repetition_counts(self) -> list[int]:
        """Number of typings of each user, in class order."""
        return np.bincount(self.targets).tolist()

    @cached_property
    def sittings(self) -> np.ndarray:
        """Which session of its user each row is of, counted from 0 in ascending order, [rows]."""
        numbers = np.zeros(len(self.targets), np.int64)
        for target in range(len(self.classes)):
            own_rows = self.targets == target
            numbers[own_rows] = np.unique(self.sessions[own_rows], return_inverse=True)[1]
        return numbers

    @cached_property
    def turns(self) -> np.ndarray:
        """Which typing of its user and session each row is, counted from 0, [rows]."""
        return occurrences(self.targets * (self.sittings.max() + 1) + self.sittings)

    @property
    def has_sessions(self) -> bool:
        """Whether users have more than one session, so that folds hold out sessions."""
        return bool(self.sittings.any())

    @property
    def units(self) -> np.ndarray:
        """What is held out whole, [rows]: the session, or the typing, of its user each row is."""
        return self.sittings if self.has_sessions else self.repetitions


def occurrences(values: np.ndarray) -> np.ndarray:
    """Which occurrence of its value each of `values` [n] is, counted from 0 in order, [n]."""
    order = np.argsort(values, kind="stable")
    _, starts, counts = np.unique(values[order], return_index=True, return_counts=True)
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.arange(len(values)) - np.repeat(starts, counts)
    return numbers


def read_dataset(path: Path) -> Dataset:
    """Read and check a CSV file of either layout.

    Raises DataError, with every problem found, if it cannot be read or trained on.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError([error.strerror]) from error
    lines = read_lines(content)
    if not lines:
        raise DataError(["the file is empty"])
    (_, header), *records = lines
    rows = [
        Row(f"line {line} (row {number})", cells)
        for number, (line, cells) in enumerate(records, start=1)
    ]
    layout = cmu if cmu.recognises(header) else own
    typings = layout.read(header, rows)
    raise_if_any(_user_problems(typings, [row.place for row in rows], layout.USER, layout.SESSION))
    ids = [typing.user for typing in typings]
    classes = sorted(map(int, ids) if _are_integers(ids) else ids)
    classes = list(dict.fromkeys(classes))
    index = {str(name): position for position, name in enumerate(classes)}
    return Dataset(
        classes=classes,
        targets=np.array([index[name] for name in ids]),
        press=np.array([typing.press for typing in typings]),
        release=np.array([typing.release for typing in typings]),
        sessions=np.array([typing.session for typing in typings]),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def folds(dataset: Dataset, most: int = MAX_FOLDS, wanted: int | None = None) -> np.ndarray:
    """The fold that each row is held out in, [rows].

    Where users have several sessions, the k-th session of a user is held out whole in fold k,
    modulo the number of folds: no session is in training and held out at once. Elsewhere the
    k-th typing of a user is. Every user is in the training rows of every fold.

    There are as many folds as the user with the most has sessions, or typings; at most `most`
    unless `wanted` says how many. Raises DataError if there cannot be that many.
    """
    units = dataset.units
    possible = int(units.max()) + 1
    if wanted is not None and not MIN_REPETITIONS <= wanted <= possible:
        kind = "sessions" if dataset.has_sessions else "typings"
        raise DataError(
            [
                f"{wanted} folds asked for, there can be {MIN_REPETITIONS} to {possible}: "
                f"no user has more {kind}"
            ]
        )
    return units % (wanted or min(possible, most))


def _user_problems(
    typings: list[Typing], places: list[str], user_column: str, session_column: str
) -> Iterator[str]:
    repetitions = Counter(typing.user for typing in typings)
    if len(repetitions) < MIN_USERS:
        yield f"{len(repetitions)} users, at least {MIN_USERS} are needed"
    first = {}
    sessions: dict[str, set[int]] = {}
    for place, typing in zip(places, typings, strict=True):
        first.setdefault(typing.user, place)
        sessions.setdefault(typing.user, set()).add(typing.session)
    most = max((len(numbers) for numbers in sessions.values()), default=0)
    for user, count in repetitions.items():
        if count < MIN_REPETITIONS:
            yield (
                f"{first[user]}, column {user_column}: {user!r} has only this row, "
                f"at least {MIN_REPETITIONS} are needed"
            )
        elif len(sessions[user]) < min(most, 2):
            yield (
                f"{first[user]}, column {session_column}: {user!r} has only this session, "
                f"others have {most}: at least 2 are needed, or the same one for everybody"
            )


def _are_integers(ids: list[str]) -> bool:
    """Whether all ids are integers that int() and str() carry over unchanged."""
    return all(
        _INTEGER_ID.fullmatch(name) and abs(int(name)) <= MAX_SAFE_INTEGER for name in set(ids)
    )
