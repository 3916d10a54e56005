"""Reads the CSV of typings and refuses, by line and column, what cannot be trained on.

The header names the columns `user, press-0, release-0, …, press-(k-1), release-(k-1)` in any
order, with at least two keys; every row is one typing of the same text, times in ms. Blank
lines and a byte order mark are tolerated, nothing else is.
"""

import csv
import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from keystroke_training.features import features

MIN_KEYS = 2
MIN_USERS = 2
MIN_REPETITIONS = 2  # one to hold out, one to train on
MAX_SAFE_INTEGER = 2**53 - 1  # the greatest the service's JavaScript numbers hold exactly

_TIMING = re.compile(r"(press|release)-(0|[1-9][0-9]{0,5})")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_INTEGER_ID = re.compile(r"0|-?[1-9][0-9]{0,15}")


class DataError(Exception):
    """The data cannot be trained on; `problems` has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Dataset:
    """Typings in file order.

    `classes` are the user ids in ascending order, `targets` [rows] the index of each row's
    user in it, `press` and `release` [rows, keys] times in ms, `sha256` that of the file.
    """

    classes: list[int] | list[str]
    targets: np.ndarray
    press: np.ndarray
    release: np.ndarray
    sha256: str

    @cached_property
    def rows(self) -> np.ndarray:
        """Feature rows, float64 [rows, 8]."""
        return features(self.press, self.release)

    @property
    def repetitions(self) -> np.ndarray:
        """Which typing of its user each row is, counted from 0 in file order, [rows]."""
        seen: Counter[int] = Counter()
        numbers = []
        for target in self.targets.tolist():
            numbers.append(seen[target])
            seen[target] += 1
        return np.array(numbers)

    @property
    def repetition_counts(self) -> list[int]:
        """Number of typings of each user, in class order."""
        return np.bincount(self.targets).tolist()


def read_dataset(path: Path) -> Dataset:
    """Read and check a CSV file.

    Raises DataError, with every problem found, if it cannot be read or trained on.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError([error.strerror]) from error
    lines = _parse(content)
    if not lines:
        raise DataError(["the file is empty"])
    (_, header), *records = lines
    keys = _count_keys(header)
    ids, press, release = _read_records(header, keys, records)
    _raise_if_any(_user_problems(ids, [line for line, _ in records]))
    classes = sorted(map(int, ids) if _are_integers(ids) else ids)
    classes = list(dict.fromkeys(classes))
    index = {str(name): position for position, name in enumerate(classes)}
    return Dataset(
        classes=classes,
        targets=np.array([index[name] for name in ids]),
        press=press,
        release=release,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _parse(content: bytes) -> list[tuple[int, list[str]]]:
    """The non-blank lines as (line number, cells)."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError([f"line {line}: not UTF-8"]) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise DataError([f"line {reader.line_num}: not CSV: {error}"]) from error


def _count_keys(header: list[str]) -> int:
    matches = [_TIMING.fullmatch(name) for name in header]
    keys = len({match[2] for match in matches if match})
    expected = [
        "user",
        *(f"{event}-{key}" for key in range(keys) for event in ("press", "release")),
    ]
    counts = Counter(header)
    problems = [f"header: column {name} is missing" for name in expected if name not in counts]
    problems += [f"header: unknown column {name!r}" for name in counts if name not in expected]
    problems += [f"header: column {name} occurs {n} times" for name, n in counts.items() if n > 1]
    if keys < MIN_KEYS:
        problems.append(f"header: {keys} keys, at least {MIN_KEYS} are needed")
    _raise_if_any(problems)
    return keys


def _read_records(
    header: list[str], keys: int, records: list[tuple[int, list[str]]]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """User ids, press times and release times of the rows after the header."""
    ids, press, release, problems = [], [], [], []
    for row, (line, cells) in enumerate(records, start=1):
        place = f"line {line} (row {row})"
        if len(cells) != len(header):
            problems.append(f"{place}: {len(cells)} cells, the header has {len(header)}")
            continue
        record = dict(zip(header, cells, strict=True))
        found = list(_record_problems(record, keys))
        problems += [f"{place}, column {column}: {reason}" for column, reason in found]
        if not found:
            ids.append(record["user"])
            press.append([float(record[f"press-{key}"]) for key in range(keys)])
            release.append([float(record[f"release-{key}"]) for key in range(keys)])
    _raise_if_any(problems)
    return ids, np.array(press), np.array(release)


def _record_problems(record: dict[str, str], keys: int) -> Iterator[tuple[str, str]]:
    """(column, reason) of all that is wrong with one row."""
    if not record["user"].strip():
        yield "user", "empty user id"
    elif record["user"] != record["user"].strip():
        yield "user", f"{record['user']!r} begins or ends with a blank"
    times = {}
    for column, cell in record.items():
        if column == "user":
            continue
        if reason := _number_problem(cell):
            yield column, reason
        else:
            times[column] = float(cell)
    for key in range(keys):
        press, release = times.get(f"press-{key}"), times.get(f"release-{key}")
        following = times.get(f"press-{key + 1}")
        if press is not None and release is not None and release < press:
            yield f"release-{key}", f"negative hold: released at {release:g}, pressed at {press:g}"
        if press is not None and following is not None and following < press:
            yield f"press-{key + 1}", f"presses out of order: {following:g} after {press:g}"


def _number_problem(cell: str) -> str | None:
    if not cell.strip():
        return "empty"
    if _NOT_FINITE.fullmatch(cell):
        return f"{cell!r} is not a finite number"
    if not _NUMBER.fullmatch(cell):
        return f"{cell!r} is not a number"
    if not math.fabs(float(cell)) <= MAX_SAFE_INTEGER:
        return f"{cell} is too large"
    return None


def _user_problems(ids: list[str], lines: list[int]) -> Iterator[str]:
    repetitions = Counter(ids)
    if len(repetitions) < MIN_USERS:
        yield f"{len(repetitions)} users, at least {MIN_USERS} are needed"
    for user, count in repetitions.items():
        if count < MIN_REPETITIONS:
            row = ids.index(user)
            yield (
                f"line {lines[row]} (row {row + 1}), column user: {user!r} has only this row, "
                f"at least {MIN_REPETITIONS} are needed"
            )


def _are_integers(ids: list[str]) -> bool:
    """Whether all ids are integers that int() and str() carry over unchanged."""
    return all(
        _INTEGER_ID.fullmatch(name) and abs(int(name)) <= MAX_SAFE_INTEGER for name in set(ids)
    )


def _raise_if_any(problems: Iterable[str]) -> None:
    problems = list(problems)
    if problems:
        raise DataError(problems)
