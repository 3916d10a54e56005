"""The numbers that a typing is recognised by: eight that sum it up, or one and more for each time.

Everything is float64. What is summed is summed key after key: the service computes the same
summary with the same loop, so both sides agree bit by bit on every CPU; `numpy.sum`,
`numpy.mean` and `numpy.std` choose their order of additions by the CPU's vector width and
would not.
"""

import numpy as np

# Below it logarithms tell apart what clocks can't: the public data has holds of 0 ms, and most
# of its times are multiples of 8 ms.
FLOOR_MS = 8.0
RPT_SCALE_MS = 40.0

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


def timing_names(keys: int) -> list[str]:
    """Names of the columns of `timing_features`, in order."""
    counts = {
        "logHT": keys,
        "logPPT": keys - 1,
        "logRRT": keys - 1,
        "asinhRPT": keys - 1,
        "relativeHT": keys,
        "relativePPT": keys - 1,
    }
    names = [f"{name}[{index}]" for name, count in counts.items() for index in range(count)]
    return [*names, "medianHT", "medianPPT"]


def timing_features(press: np.ndarray, release: np.ndarray) -> np.ndarray:
    """Return the features [rows, 6 × keys - 2] of raw timings, in the order of `timing_names`.

    Logarithms of HT, PPT and RRT, of which what is below FLOOR_MS counts as that; RPT, which
    has any sign, as asinh(RPT / RPT_SCALE_MS); and HT and PPT relative to the typing's own
    median, because tempo differs from typing to typing more than rhythm does.
    """
    series = timing_series(press, release)
    hold, latency, between = (
        np.log(np.maximum(series[name], FLOOR_MS)) for name in ("HT", "PPT", "RRT")
    )
    flight = np.arcsinh(series["RPT"] / RPT_SCALE_MS)
    median_hold, median_latency = (
        np.median(values, axis=1, keepdims=True) for values in (hold, latency)
    )
    columns = [hold, latency, between, flight]
    columns += [hold - median_hold, latency - median_latency, median_hold, median_latency]
    return np.hstack(columns)


def narrowed(values: np.ndarray) -> np.ndarray:
    """Return float64 values as float32 holds them: what the service and the files compute with."""
    return values.astype(np.float32).astype(np.float64)


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
