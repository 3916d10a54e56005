"""The project's own layout: columns `user, press-0, release-0, …, press-(k-1), release-(k-1)`,
and `session` if there is more than one, in any order; times in ms.

`session` is a whole number that tells a user's sittings apart. Within a user it does not fall
from row to row: the rows stand in the order they were typed.
"""

import re
from collections import Counter
from collections.abc import Iterator

from keystroke_training.reading.table import (
    Problem,
    Row,
    Typing,
    keys_problem,
    number_problem,
    raise_if_any,
    read_typings,
    user_problem,
    whole_problem,
)

USER = "user"
SESSION = "session"

_TIMING = re.compile(r"(press|release)-(0|[1-9][0-9]{0,5})")


def read(header: list[str], rows: list[Row]) -> list[Typing]:
    """Read the rows; raises DataError with every problem found."""
    keys = _count_keys(header)

    def check(cells: list[str]) -> Iterator[Problem]:
        return _problems(dict(zip(header, cells, strict=True)), keys)

    def typing(cells: list[str]) -> Typing:
        record = dict(zip(header, cells, strict=True))
        return Typing(
            user=record[USER],
            session=int(record.get(SESSION, 0)),
            press=[float(record[f"press-{key}"]) for key in range(keys)],
            release=[float(record[f"release-{key}"]) for key in range(keys)],
        )

    typings = read_typings(rows, len(header), check, typing)
    raise_if_any(_order_problems(rows, typings))
    return typings


def _count_keys(header: list[str]) -> int:
    matches = [_TIMING.fullmatch(name) for name in header]
    keys = len({match[2] for match in matches if match})
    expected = [
        USER,
        *(f"{event}-{key}" for key in range(keys) for event in ("press", "release")),
    ]
    counts = Counter(header)
    problems = [f"header: column {name} is missing" for name in expected if name not in counts]
    problems += [
        f"header: unknown column {name!r}" for name in counts if name not in (*expected, SESSION)
    ]
    problems += [f"header: column {name} occurs {n} times" for name, n in counts.items() if n > 1]
    problems += keys_problem(keys)
    raise_if_any(problems)
    return keys


def _problems(record: dict[str, str], keys: int) -> Iterator[Problem]:
    """All that is wrong with one row."""
    if reason := user_problem(record[USER]):
        yield USER, reason
    if SESSION in record and (reason := whole_problem(record[SESSION])):
        yield SESSION, reason
    times = {}
    for column, cell in record.items():
        if column in (USER, SESSION):
            continue
        if reason := number_problem(cell):
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


def _order_problems(rows: list[Row], typings: list[Typing]) -> Iterator[str]:
    latest: dict[str, int] = {}
    for row, typing in zip(rows, typings, strict=True):
        before = latest.get(typing.user, typing.session)
        if typing.session < before:
            yield (
                f"{row.place}, column {SESSION}: session {typing.session} of {typing.user!r} "
                f"after its session {before}"
            )
        latest[typing.user] = max(typing.session, before)
