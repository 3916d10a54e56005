"""The layout of CMU's benchmark (Killourhy & Maxion 2009, DSL-StrongPasswordData.csv): columns
`subject, sessionIndex, rep, H.<key>, DD.<key>.<next key>, UD.<key>.<next key>, …` in seconds.

H is how long a key is held, DD the time from a press to the next press, UD that from a release
to the next press: negative where keys overlap. The keys follow each other as their H columns
do; other columns may stand anywhere. A text may hold a key twice: the first column of a name
is then the first such key or pair, the second the second.

A subject's rows stand in the order they were typed, by session and repetition.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from keystroke_training.reading.table import (
    MAX_SAFE_INTEGER,
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

USER = "subject"
SESSION = "sessionIndex"
REPETITION = "rep"

_TIMING = re.compile(r"(H|DD|UD)\..+")
_FINEST = Decimal("1e-6")  # s: differences below it are the arithmetic's, of no clock


def recognises(header: list[str]) -> bool:
    """Whether the header is meant to be of this layout."""
    return USER in header or any(_TIMING.fullmatch(name) for name in header)


def read(header: list[str], rows: list[Row]) -> list[Typing]:
    """Read the rows, the first key pressed at 0; raises DataError with every problem found."""
    columns = _find_columns(header)
    typings = read_typings(rows, len(header), columns.problems, columns.typing)
    raise_if_any(_order_problems(rows, columns))
    return typings


@dataclass(frozen=True)
class _Columns:
    """Where in a row what stands: numbers of its cells, from 0."""

    header: list[str]
    user: int
    session: int
    repetition: int
    hold: list[int]  # of each key
    down_down: list[int]  # of each key but the last
    up_down: list[int]

    def problems(self, cells: list[str]) -> Iterator[Problem]:
        """All that is wrong with one row."""
        if reason := user_problem(cells[self.user]):
            yield USER, reason
        for column in (self.session, self.repetition):
            if reason := whole_problem(cells[column]):
                yield self.header[column], reason
        limit = MAX_SAFE_INTEGER / 1000 / len(self.hold)  # s, so that all sums are safe in ms
        times: dict[int, Decimal] = {}
        for column in sorted((*self.hold, *self.down_down, *self.up_down)):
            if reason := number_problem(cells[column], limit):
                yield self.header[column], reason
            else:
                times[column] = Decimal(cells[column])
        for column, time in times.items():
            if time < 0 and column not in self.up_down:
                kind = "negative hold" if column in self.hold else "presses out of order"
                yield self.header[column], f"{kind}: {cells[column]}"
        yield from self._mismatches(cells, times)

    def _mismatches(self, cells: list[str], times: dict[int, Decimal]) -> Iterator[Problem]:
        """UD is DD - H, each rounded to the decimals that the row is written with."""
        # The row's and not each cell's: writers drop the zeros at the end of a number.
        unit = min(
            (Decimal((0, (1,), time.as_tuple().exponent)) for time in times.values()),
            default=_FINEST,
        )
        allowed = max(Decimal("1.5") * unit, _FINEST)
        for columns in zip(self.hold[:-1], self.down_down, self.up_down, strict=True):
            if not all(column in times for column in columns):
                continue
            hold, down_down, up_down = (times[column] for column in columns)
            if abs(down_down - hold - up_down) > allowed:
                names = [self.header[column] for column in columns]
                written = [cells[column] for column in columns]
                yield (
                    names[2],
                    f"{written[2]} is not {names[1]} - {names[0]}: {written[1]} - {written[0]}",
                )

    def typing(self, cells: list[str]) -> Typing:
        """Press and release times in ms of a row without problems."""
        # Decimals, so that the times carry no rounding but that of the file.
        press = [Decimal(0)]
        for column in self.down_down:
            press.append(press[-1] + Decimal(cells[column]))
        release = [
            down + Decimal(cells[column]) for down, column in zip(press, self.hold, strict=True)
        ]
        return Typing(
            user=cells[self.user],
            session=int(cells[self.session]),
            press=[float(1000 * time) for time in press],
            release=[float(1000 * time) for time in release],
        )


def _find_columns(header: list[str]) -> _Columns:
    keys = [name.removeprefix("H.") for name in header if re.fullmatch(r"H\..+", name)]
    hold = [f"H.{key}" for key in keys]
    down_down = [f"DD.{key}.{following}" for key, following in pairwise(keys)]
    up_down = [f"UD.{key}.{following}" for key, following in pairwise(keys)]
    expected = Counter([USER, SESSION, REPETITION, *hold, *down_down, *up_down])
    counts = Counter(header)
    order = " (keys follow each other as their H columns do)"
    problems = [
        f"header: column {name} is missing{order if name in (*down_down, *up_down) else ''}"
        for name in expected
        if name not in counts
    ]
    problems += [f"header: unknown column {name!r}" for name in counts if name not in expected]
    problems += [
        f"header: column {name} occurs {counts[name]} times, not {expected[name]}"
        for name in expected
        if name in counts and counts[name] != expected[name]
    ]
    problems += keys_problem(len(keys))
    raise_if_any(problems)
    places = defaultdict(list)
    for column, name in enumerate(header):
        places[name].append(column)
    return _Columns(
        header=header,
        user=places[USER][0],
        session=places[SESSION][0],
        repetition=places[REPETITION][0],
        hold=[places[name].pop(0) for name in hold],
        down_down=[places[name].pop(0) for name in down_down],
        up_down=[places[name].pop(0) for name in up_down],
    )


def _order_problems(rows: list[Row], columns: _Columns) -> Iterator[str]:
    seen: dict[tuple[str, int, int], str] = {}
    latest: dict[str, tuple[int, int]] = {}
    for row in rows:
        user = row.cells[columns.user]
        number = int(row.cells[columns.session]), int(row.cells[columns.repetition])
        place = (
            f"{row.place}, column {REPETITION}: session {number[0]}, rep {number[1]} of {user!r}"
        )
        before = latest.get(user, (-1, -1))
        if (user, *number) in seen:
            yield f"{place} is on {seen[user, *number]} too"
        elif number < before:
            yield f"{place} after its session {before[0]}, rep {before[1]}"
        seen.setdefault((user, *number), row.place)
        latest[user] = max(before, number)
