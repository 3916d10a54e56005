"""Typings by people who do not exist, for those who have no data.

The text has a rhythm, each typist a tempo, a hold, a rhythm on every key and pair of keys of
their own, and a steadiness; each sitting and each typing shifts them a little, practice makes
faster, hands stray, and now and then a typist stops to think. Keys overlap where the next is
pressed before the last is let go, and the clock ticks every 1 or 8 ms.

The constants are chosen so that times spread as in the public data set of 110 users × 8 typings
and as many made-up users are about as hard to tell apart (400 extra trees, a repetition left out:
0.87 of both), and those of sessions so that 51 made-up users × 8 sessions × 50 typings of 11 keys
are about as hard to verify as CMU's (scaled Manhattan: 0.098 and 0.096). So they are statistics
of those data; no typing of anybody is in here.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from keystroke_training.data import MIN_REPETITIONS, MIN_USERS
from keystroke_training.reading.table import MIN_KEYS

LAYOUTS = ("own", "cmu")

# Medians of the population, in ms.
HOLD = 90.0
LATENCY = 180.0  # from a press to the next
PAUSE = 350.0

# Standard deviations of natural logarithms.
TEXT_HOLD = 0.10  # by key, for everybody
TEXT_LATENCY = 0.13  # by pair of keys, for everybody
USER_HOLD = 0.20
USER_TEMPO = 0.25
USER_KEY_HOLD = 0.22  # by key and user
USER_PAIR_LATENCY = 0.29  # by pair and user
SESSION_TEMPO = 0.12
SESSION_HOLD = 0.09
SESSION_KEY = 0.12  # by key or pair, user and session
TYPING_TEMPO = 0.07
NOISE = 0.165  # of one key or pair in one typing, times the user's steadiness
STEADINESS = 0.25  # spread of the users' noise
STRAY = 0.9  # on top of it, where a finger strays
PAUSE_SPREAD = 0.9

STRAYS = 0.17  # share of keys and pairs, at first
HOLD_FOLLOWS_TEMPO = 0.4  # who is slow in one typing holds longer in it
PAUSES = 0.025  # share of pairs within which a typist stops, at first
PRACTICE = 0.03  # that much faster with each e-fold of typings
ROUTINE = 0.2  # that much fewer strays and pauses with it, as logarithms
COARSE_CLOCKS = 0.5  # share of users whose clock ticks every 8 ms, not every 1 ms
COARSE_TICK = 8


@dataclass(frozen=True)
class _Typings:
    """Times [users, sessions, repetitions, keys] in whole ms."""

    press: np.ndarray
    release: np.ndarray


def synthesise(
    users: int, repetitions: int, keys: int, seed: int, sessions: int = 1, layout: str = "own"
) -> str:
    """A CSV file of `repetitions` typings by each of `users` in each of `sessions` sittings.

    `layout` is one of LAYOUTS. The same arguments give the same bytes on every machine: times
    are whole ms, which hides the last bits in which processors differ.

    Raises ValueError if so little could not be trained on.
    """
    least = {"users": MIN_USERS, "sessions": 1, "typings of each user": MIN_REPETITIONS}
    least["keys"] = MIN_KEYS
    wanted = (users, sessions, sessions * repetitions, keys)
    for (name, minimum), number in zip(least.items(), wanted, strict=True):
        if number < minimum:
            raise ValueError(f"{number} {name}, at least {minimum} are needed")
    typings = _type(np.random.default_rng(seed), users, sessions, repetitions, keys)
    return {"own": _own_csv, "cmu": _cmu_csv}[layout](typings)


def made_up_times(
    users: int, repetitions: int, keys: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return press and release times [users, repetitions, keys] in ms of one sitting each."""
    typings = _type(np.random.default_rng(seed), users, 1, repetitions, keys)
    return typings.press[:, 0].astype(np.float64), typings.release[:, 0].astype(np.float64)


def _type(
    random: np.random.Generator, users: int, sessions: int, repetitions: int, keys: int
) -> _Typings:
    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape)

    # Of everybody, of a user, of a sitting, of a typing: axes users, sessions, repetitions, keys.
    steadiness = np.exp(STEADINESS * normal(users, 1, 1, 1))
    tempo = USER_TEMPO * normal(users, 1, 1, 1)
    hold = TEXT_HOLD * normal(1, 1, 1, keys) + USER_HOLD * normal(users, 1, 1, 1)
    hold = hold + USER_KEY_HOLD * normal(users, 1, 1, keys)
    latency = TEXT_LATENCY * normal(1, 1, 1, keys - 1) + tempo
    latency = latency + USER_PAIR_LATENCY * normal(users, 1, 1, keys - 1)
    if sessions > 1:
        hold = hold + SESSION_HOLD * normal(users, sessions, 1, 1)
        hold = hold + SESSION_KEY * normal(users, sessions, 1, keys)
        latency = latency + SESSION_TEMPO * normal(users, sessions, 1, 1)
        latency = latency + SESSION_KEY * normal(users, sessions, 1, keys - 1)
    wobble = TYPING_TEMPO * steadiness * normal(users, sessions, repetitions, 1)
    practice = np.log1p(np.arange(sessions * repetitions)).reshape(1, sessions, repetitions, 1)
    hold = hold + HOLD_FOLLOWS_TEMPO * wobble
    latency = latency + wobble - PRACTICE * practice
    trouble = np.exp(-ROUTINE * practice)

    def noise(count: int) -> tuple[np.ndarray, np.ndarray]:
        """The usual noise of a key or pair, and whether and how far a finger strays."""
        shape = users, sessions, repetitions, count
        strays = (random.random(shape) < STRAYS * trouble) * STRAY * normal(*shape)
        return NOISE * steadiness * normal(*shape), strays

    usual, strays = noise(keys)
    held = HOLD * np.exp(hold + usual - np.abs(strays))  # astray, a key is only brushed
    usual, strays = noise(keys - 1)
    waited = LATENCY * np.exp(latency + usual + strays)
    pauses = PAUSE * np.exp(PAUSE_SPREAD * normal(*waited.shape))
    waited = waited + np.where(random.random(waited.shape) < PAUSES * trouble, pauses, 0)

    press = np.zeros(held.shape)
    press[..., 1:] = np.cumsum(waited, axis=-1)
    tick = np.where(random.random((users, 1, 1, 1)) < COARSE_CLOCKS, COARSE_TICK, 1)
    press = press + tick * random.random((users, sessions, repetitions, 1))  # into the tick
    ticks = [np.floor(times / tick).astype(np.int64) * tick for times in (press, press + held)]
    return _Typings(press=ticks[0] - ticks[0][..., :1], release=ticks[1] - ticks[0][..., :1])


def _own_csv(typings: _Typings) -> str:
    users, sessions, repetitions, keys = typings.press.shape
    header = [f"{event}-{key}" for key in range(keys) for event in ("press", "release")]
    lines = [["user", *(["session"] if sessions > 1 else []), *header]]
    for user, session, repetition in np.ndindex(users, sessions, repetitions):
        press, release = (
            times[user, session, repetition] for times in (typings.press, typings.release)
        )
        numbers = [user + 1, *([session + 1] if sessions > 1 else [])]
        numbers += np.stack([press, release], axis=1).ravel().tolist()
        lines.append([str(number) for number in numbers])
    return _csv(lines)


def _cmu_csv(typings: _Typings) -> str:
    users, sessions, repetitions, keys = typings.press.shape
    names = [f"key{key}" for key in range(1, keys + 1)]
    lines = [["subject", "sessionIndex", "rep", f"H.{names[0]}"]]
    for name, following in pairwise(names):
        lines[0] += [f"DD.{name}.{following}", f"UD.{name}.{following}", f"H.{following}"]
    for user, session, repetition in np.ndindex(users, sessions, repetitions):
        press, release = (
            times[user, session, repetition] for times in (typings.press, typings.release)
        )
        times = [release[0]]
        for key in range(1, keys):
            times += [press[key] - press[key - 1], press[key] - release[key - 1]]
            times.append(release[key] - press[key])
        numbers = [f"s{user + 1:03}", str(session + 1), str(repetition + 1)]
        lines.append([*numbers, *(f"{time / 1000:.4f}" for time in times)])
    return _csv(lines)


def _csv(lines: list[list[str]]) -> str:
    return "\n".join(",".join(line) for line in lines) + "\n"
