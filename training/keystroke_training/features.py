"""The eight numbers a typing is recognised by.

Everything is float64 and summed key after key. The service computes the same features with
the same loop, so both sides agree bit by bit on every CPU; `numpy.sum`, `numpy.mean` and
`numpy.std` choose their order of additions by the CPU's vector width and would not.
"""

import numpy as np

FEATURE_ORDER = (
    "HT.Mean",
    "HT.STD",
    "PPT.Mean",
    "PPT.STD",
    "RRT.Mean",
    "RRT.STD",
    "RPT.Mean",
    "RPT.STD",
)


def timing_series(press: np.ndarray, release: np.ndarray) -> dict[str, np.ndarray]:
    """Return the four series of each row, in ms.

    `press` and `release` have the shape [rows, keys], keys >= 2. HT (hold time) has `keys`
    columns; PPT (press-press), RRT (release-release) and RPT (release-press) have one less.
    RPT is negative where two keys overlap, and RRT where the earlier key is let go last.
    """
    return {
        "HT": release - press,
        "PPT": press[:, 1:] - press[:, :-1],
        "RRT": release[:, 1:] - release[:, :-1],
        "RPT": press[:, 1:] - release[:, :-1],
    }


def features(press: np.ndarray, release: np.ndarray) -> np.ndarray:
    """Return the features [rows, 8] in ms, in FEATURE_ORDER: mean and population standard
    deviation (divided by n, not n - 1) of HT, PPT, RRT and RPT.
    """
    columns = []
    for series in timing_series(press, release).values():
        columns += _mean_and_std(series)
    return np.stack(columns, axis=1)


def _mean_and_std(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = series.shape[1]
    mean = _sequential_sum(series) / count
    deviation = series - mean[:, np.newaxis]
    # A product, not a power: pow may round otherwise than the service's multiplication.
    return mean, np.sqrt(_sequential_sum(deviation * deviation) / count)


def _sequential_sum(values: np.ndarray) -> np.ndarray:
    total = np.zeros(len(values))
    for column in values.T:
        total += column
    return total
