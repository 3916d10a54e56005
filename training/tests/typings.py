"""Made-up typings for the tests: every user has a rhythm of their own, and noise on it.

Plainer than the typists of `keystroke_training.synthesis`, so that tests can set how many
typings each user has and how hard users are to tell apart.
"""

from collections.abc import Sequence

import numpy as np


def header(keys: int) -> list[str]:
    return ["user", *(f"{event}-{key}" for key in range(keys) for event in ("press", "release"))]


def made_up_csv(
    users: Sequence[str] = ("1", "2", "3"),
    repetitions: Sequence[int] = (6, 6, 6),
    keys: int = 5,
    noise: float = 25.0,
    seed: int = 1,
) -> str:
    """A CSV file of `repetitions[i]` typings by `users[i]`."""
    random = np.random.default_rng(seed)
    lines = [header(keys)]
    for user, count in zip(users, repetitions, strict=True):
        pace, hold = random.uniform(80, 250), random.uniform(60, 140)
        for _ in range(count):
            gaps = np.abs(pace + noise * random.standard_normal(keys))
            press = np.cumsum(gaps) - gaps[0]
            release = press + np.abs(hold + noise * random.standard_normal(keys))
            times = np.stack([press, release], axis=1).round().astype(int).ravel()
            lines.append([user, *map(str, times)])
    return "\n".join(",".join(line) for line in lines) + "\n"
