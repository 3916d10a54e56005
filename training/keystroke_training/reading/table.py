"""What the layouts share: the rows of a CSV file, and how what is wrong with them is told."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MIN_KEYS = 2
MAX_SAFE_INTEGER = 2**53 - 1  # the greatest the service's JavaScript numbers hold exactly

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,9}")

Problem = tuple[str, str]  # column, reason


class DataError(Exception):
    """The data cannot be trained on; `problems` has one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Typing:
    """One row: who typed, in which session, and when each key went down and up, in ms."""

    user: str
    session: int
    press: list[float]
    release: list[float]


@dataclass(frozen=True)
class Row:
    """The cells of one typing, and where in the file they stand."""

    place: str
    cells: list[str]


def read_lines(content: bytes) -> list[tuple[int, list[str]]]:
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


def read_typings(
    rows: Iterable[Row],
    columns: int,
    check: Callable[[list[str]], Iterable[Problem]],
    read: Callable[[list[str]], Typing],
) -> list[Typing]:
    """`read` the cells of each row, once `check` has nothing against any of them.

    Raises DataError with every problem found.
    """
    typings, problems = [], []
    for row in rows:
        if len(row.cells) != columns:
            problems.append(f"{row.place}: {len(row.cells)} cells, the header has {columns}")
            continue
        found = [f"{row.place}, column {column}: {reason}" for column, reason in check(row.cells)]
        problems += found
        if not found:
            typings.append(read(row.cells))
    raise_if_any(problems)
    return typings


def user_problem(cell: str) -> str | None:
    """What is wrong with a user id."""
    if not cell.strip():
        return "empty user id"
    if cell != cell.strip():
        return f"{cell!r} begins or ends with a blank"
    return None


def number_problem(cell: str, limit: float = MAX_SAFE_INTEGER) -> str | None:
    """What keeps the cell from being a number of at most `limit`, its sign aside."""
    if not cell.strip():
        return "empty"
    if _NOT_FINITE.fullmatch(cell):
        return f"{cell!r} is not a finite number"
    if not _NUMBER.fullmatch(cell):
        return f"{cell!r} is not a number"
    if not math.fabs(float(cell)) <= limit:
        return f"{cell} is too large"
    return None


def whole_problem(cell: str) -> str | None:
    """What keeps the cell from being a whole number of a session or a repetition."""
    if not cell.strip():
        return "empty"
    return None if _WHOLE.fullmatch(cell) else f"{cell!r} is not a whole number"


def keys_problem(keys: int) -> Iterator[str]:
    """What is wrong with the number of keys that a header names."""
    if keys < MIN_KEYS:
        yield f"header: {keys} keys, at least {MIN_KEYS} are needed"


def raise_if_any(problems: Iterable[str]) -> None:
    """Raise a DataError of the problems, if there are any."""
    problems = list(problems)
    if problems:
        raise DataError(problems)
