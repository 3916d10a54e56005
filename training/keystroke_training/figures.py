"""The model card's figures as SVG, the same bytes at every run."""

import io
import re

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.special import ndtri

from keystroke_training.assessment import Assessment
from keystroke_training.data import Dataset
from keystroke_training.disturbances import JITTER_MS, TICK_MS

MAX_SHOWN_USERS = 150  # above either of these a dot is a group of users
MAX_DOTS = 2_500  # in all panels: 90 kB
GROUPS = 25
MAX_HALVINGS = 6  # of a dot's area

# In the confusion figure are the first three of these that there are.
_WORTH_A_PANEL = ("best", "summary", "rf", "templates", "trees", "xgb", "svm")
_PANELS = 3

# Okabe and Ito's colours, which the colour-blind can tell apart, and a shape for each.
_LOOKS = {
    "svm": ("#0072B2", "v"),
    "rf": ("#D55E00", "s"),
    "xgb": ("#009E73", "D"),
    "summary": ("#CC79A7", "^"),
    "templates": ("#E69F00", "<"),
    "trees": ("#56B4E9", ">"),
    "best": ("#000000", "o"),
}
_HIT, _MISS, _INK, _FAINT, _GRID = "#0072B2", "#D55E00", "#333333", "#999999", "#e6e6e6"

_ENROLMENT_LOOKS = {1: ("#000000", "o"), 2: ("#0072B2", "s"), 3: ("#D55E00", "^")}

_DET_ATTEMPTS = {1: "-", 2: "--"}
_DET_LEAST = 0.0005
_DET_MOST = 0.5
_DET_TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
_DET_STEP = 0.015  # of deviates: less can't be told apart

_PATH, _FINER = re.compile(rb' d="[^"]*"'), re.compile(rb"(\.\d\d)\d+")

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "path.simplify": False,  # it would leave nothing of the dots of `_dots`
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.titlesize": 11,
    "axes.titlepad": 9,
    "figure.titlesize": 11,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "keystroke_training",  # otherwise ids are random
}


def figures(assessments: dict[str, Assessment], dataset: Dataset) -> dict[str, bytes]:
    """Return the figures by path in the folder of models; those that have nothing to show, for
    these models and data, are left out.
    """
    with matplotlib.rc_context(_STYLE):
        drawn = {
            "calibration": _calibration(assessments, dataset),
            "cmc": _cmc(assessments, dataset),
            "confusion": _confusion(assessments, dataset),
            "det": _det(assessments),
            "enrolment": _enrolment(assessments),
            "robustness": _robustness(assessments, dataset),
            "users": _users(assessments, dataset),
        }
        return {
            f"figures/{name}.svg": _svg(figure)
            for name, figure in drawn.items()
            if figure is not None
        }


def _cmc(assessments: dict[str, Assessment], dataset: Dataset) -> Figure:
    """Draw the cumulative match characteristic of all models: how often the true user is among
    the first candidates, with the level of guessing.
    """
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for name, assessment in assessments.items():
        curve = assessment.evaluation["cmc"]
        _line(axes, name, np.arange(1, len(curve) + 1), curve)
    ranks = np.arange(1, len(curve) + 1)
    guessing = axes.plot(
        ranks, ranks / len(dataset.classes), ":", lw=1.5, color=_FAINT, label="guessing"
    )
    axes.set(
        xlim=(0.5, ranks[-1] + 0.5),
        ylim=(0, 1),
        xlabel="rank: best candidates looked at",
        ylabel="true user among them",
        title=f"Identification rate by rank: {_sample(dataset)}",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _plain(axes)
    _legend(figure, [*map(_handle, assessments), *guessing])
    return figure


def _confusion(assessments: dict[str, Assessment], dataset: Dataset) -> Figure:
    """Draw who is taken for whom, one panel for each of the best models.

    The larger a dot, the larger the share of the true user's typings. With many users, or many
    dots, a dot stands for a group of users that are neighbours in class order.
    """
    users = len(dataset.classes)
    chosen = [name for name in _WORTH_A_PANEL if name in assessments][:_PANELS]
    shown = [name for name in assessments if name in chosen]
    dots = sum(
        len(np.unique(assessments[name].targets * users + assessments[name].predicted))
        for name in shown
    )
    groups = users
    unit, hit = "user", "recognised"
    if users > MAX_SHOWN_USERS or dots > MAX_DOTS:
        groups = min(users, GROUPS)
        unit, hit = f"group of about {users / groups:.0f} users", "answered within the own group"
    figure = Figure(figsize=(0.6 + 3.8 * len(shown), 4.9), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, shown, strict=True):
        _draw_confusion(axes, assessments[name], users, groups)
        axes.set_title(f"{name}: {assessments[name].evaluation['rank1']:.1%} recognised")
        axes.set_xlabel(f"{unit} answered, in class order")
    panels[0].set_ylabel(f"true {unit}, in class order")
    # One panel is too narrow for one line.
    between = " " if len(shown) > 1 else "\n"
    figure.suptitle(f"Who is taken for whom:{between}{_sample(dataset)}")
    handles = [
        Line2D([], [], marker="o", ls="", ms=7, mew=0, color=colour, label=label)
        for colour, label in ((_HIT, hit), (_MISS, "taken for another"))
    ]
    _legend(figure, handles)
    return figure


def _draw_confusion(axes: Axes, assessment: Assessment, users: int, groups: int) -> None:
    true, answered = (
        indices * groups // users for indices in (assessment.targets, assessment.predicted)
    )
    counts = np.zeros((groups, groups))
    np.add.at(counts, (true, answered), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    # Shares are rounded to halves, quarters, eighths …: dots of one size share one
    # definition in the file, which keeps it small.
    with np.errstate(divide="ignore"):
        halvings = np.round(-np.log2(shares))
    halvings[(halvings > MAX_HALVINGS) & (counts > 0)] = MAX_HALVINGS
    diagonal = np.eye(groups, dtype=bool)
    widest = np.clip(660 / groups, 6.5, 14)  # points
    for halving in range(MAX_HALVINGS + 1):
        diameter = max(widest * 0.5 ** (halving / 2), 1.4)
        for where, colour in ((~diagonal, _MISS), (diagonal, _HIT)):
            rows, columns = np.nonzero((halvings == halving) & where)
            _dots(axes, columns + 1, rows + 1, diameter, colour)
    margin = max(groups / 50, 0.6)
    axes.set(xlim=(1 - margin, groups + margin), ylim=(groups + margin, 1 - margin), aspect="equal")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray, diameter: float, colour: str) -> None:
    """Draw dots as one line with round ends and hardly any length between them, which takes a
    third of the room in the file that markers take.
    """
    gaps = np.full(len(x), np.nan)
    axes.plot(
        np.stack([x, x + 0.01, gaps], axis=1).ravel(),
        np.stack([y, y, gaps], axis=1).ravel(),
        color=colour,
        lw=diameter,
        alpha=0.7,
        solid_capstyle="round",
        snap=False,  # to pixels: ends would meet, and a line of no length is not drawn
    )


def _det(assessments: dict[str, Assessment]) -> Figure | None:
    """Draw the detection error trade-off of verification on axes of normal deviates, on which
    normally distributed scores give straight lines, with the published operating points.
    """
    curves = [
        (name, attempts, *trade_off)
        for name, assessment in assessments.items()
        for attempts, trade_off in assessment.trade_offs.items()
        if attempts in _DET_ATTEMPTS and len(trade_off[0]) > 0
    ]
    if not curves:
        return None
    measured = {
        (name, entry["attempts"]): entry
        for name in assessments
        for entry in assessments[name].evaluation.get("verification", {}).get("attempts", [])
    }
    missed = [point["fnmr"] for entry in measured.values() for point in entry["points"]]
    most = min(max([_DET_MOST, *(1.1 * share for share in missed)]), 0.97)
    figure = Figure(figsize=(7, 6.2), layout="constrained")
    axes = figure.subplots()
    for name, attempts, fmr, fnmr in curves:
        axes.plot(
            *_thinned(_deviates(fmr), _deviates(fnmr)),
            _DET_ATTEMPTS[attempts],
            color=_LOOKS[name][0],
            lw=1.6,
        )
        for point in measured[name, attempts]["points"]:
            place = _deviates(np.array([point["realisedFmr"], point["fnmr"]]))
            axes.plot(*place, _LOOKS[name][1], color=_LOOKS[name][0], ms=7, mec="white", mew=0.6)
    low, high = ndtri([_DET_LEAST, most])
    axes.plot([low, high], [low, high], ":", lw=1.2, color=_FAINT)
    ticks = [tick for tick in _DET_TICKS if tick <= most]
    labels = [f"{100 * tick:g}%" for tick in ticks]
    axes.set_xticks(ndtri(ticks), labels)
    axes.set_yticks(ndtri(ticks), labels)
    axes.set(
        xlim=(low, ndtri(_DET_MOST)),
        ylim=(low, high),
        xlabel="false match rate (FMR), normal deviates",
        ylabel="false non-match rate (FNMR), normal deviates",
    )
    numbers = {attempts: measured[name, attempts] for name, attempts, *_ in curves}
    axes.set_title(
        "\n".join(
            f"{_attempts(attempts)}: {entry['genuine']:,} genuine, {entry['impostor']:,} impostor"
            " comparisons"
            for attempts, entry in numbers.items()
        )
    )
    _plain(axes)
    _legend(
        figure,
        [
            *map(_handle, dict.fromkeys(name for name, *_ in curves)),
            *(
                Line2D([], [], ls=_DET_ATTEMPTS[attempts], color=_INK, label=_attempts(attempts))
                for attempts in numbers
            ),
            Line2D([], [], ls=":", color=_FAINT, label="FMR = FNMR"),
        ],
    )
    return figure


def _enrolment(assessments: dict[str, Assessment]) -> Figure | None:
    """Draw how well users are recognised who enrol later, against how often they typed for it."""
    found = next((a.enrolment for a in assessments.values() if a.enrolment is not None), None)
    if found is None:
        return None
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    panels = figure.subplots(1, 2)
    users = found.measured[0]["users"]
    kinds = {"eer": "equal error rate", "rank1": f"rank-1 rate among {users}"}
    attempts = sorted({rates["attempts"] for rates in found.measured})
    for axes, (kind, label) in zip(panels, kinds.items(), strict=True):
        for number in attempts:
            shown = [rates for rates in found.measured if rates["attempts"] == number]
            middle = np.array([rates[kind] for rates in shown])
            low, high = np.array([rates[f"{kind}Interval"] for rates in shown]).T
            colour, marker = _ENROLMENT_LOOKS[number]
            axes.errorbar(
                # Beside each other, so that intervals don't cover each other.
                [rates["samples"] + 0.08 * (number - 2) for rates in shown],
                middle,
                # A percentile interval need not hold what it is of.
                yerr=np.maximum([middle - low, high - middle], 0),
                marker=marker,
                ms=6,
                lw=1.6,
                elinewidth=1,
                color=colour,
            )
        axes.set(xlabel="typings to enrol with", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        _plain(axes)
    panels[0].set_ylim(bottom=0)
    panels[1].set_ylim(top=1)
    figure.suptitle(f"Users who enrol later: {users} at a time, 95 % intervals")
    _legend(
        figure,
        [
            Line2D([], [], marker=marker, ms=6, lw=1.6, color=colour, label=_attempts(number))
            for number, (colour, marker) in _ENROLMENT_LOOKS.items()
            if number in attempts
        ],
    )
    return figure


def _deviates(rates: np.ndarray) -> np.ndarray:
    """Rates as normal deviates, the infinite ones as finite ones that no axis reaches."""
    return ndtri(np.clip(rates, _DET_LEAST / 10, 1 - _DET_LEAST / 10))


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The points [2, n] of a curve without those that can't be told from the one before."""
    points = np.stack([x, y])
    changed = (np.diff(np.round(points / _DET_STEP), axis=1) != 0).any(axis=0)
    return points[:, np.concatenate([[True], changed])]


def _calibration(assessments: dict[str, Assessment], dataset: Dataset) -> Figure | None:
    """Draw how often the best candidate is right against how probable it was said to be, in a
    panel for each kind of input.
    """
    # Models that publish decisions are those of raw timings.
    kinds = {"eight numbers": [], "raw timings": []}
    for name, assessment in assessments.items():
        if assessment.calibration:
            kinds["eight numbers" if assessment.decision is None else "raw timings"].append(name)
    kinds = {kind: names for kind, names in kinds.items() if names}
    if not kinds:
        return None
    figure = Figure(figsize=(1 + 4 * len(kinds), 5), layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, (kind, names) in zip(panels, kinds.items(), strict=True):
        axes.plot([0, 1], [0, 1], ":", lw=1.5, color=_FAINT)
        for name in names:
            said, right, _ = zip(*assessments[name].calibration, strict=True)
            _line(axes, name, said, right)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", title=kind)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        _plain(axes)
    panels[0].set_ylabel("right")
    bins = max(len(assessments[name].calibration) for names in kinds.values() for name in names)
    figure.suptitle(f"Confidence and how often it is right, {bins} bins:\n{_sample(dataset)}")
    perfect = Line2D([], [], ls=":", color=_FAINT, label="confidence = right")
    _legend(figure, [*(_handle(name) for names in kinds.values() for name in names), perfect])
    return figure


def _users(assessments: dict[str, Assessment], dataset: Dataset) -> Figure:
    """Draw what share of their own typings users are recognised by, the worst served first."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0.5, ls=":", lw=1.2, color=_FAINT)
    for number, (name, assessment) in enumerate(assessments.items()):
        hits = np.bincount(assessment.targets, weights=assessment.ranks == 1)
        shares, users = np.unique(hits / np.bincount(assessment.targets), return_counts=True)
        edges = np.concatenate([[0], np.cumsum(users)])
        # A step for each share, not for each user: the file stays small.
        axes.stairs(shares, edges, baseline=None, color=_LOOKS[name][0], lw=1.8)
        # Where models are as good as each other, their markers still don't cover each other.
        place = (number + 0.5) / len(assessments) * len(dataset.classes)
        share = shares[np.searchsorted(edges, place, side="right") - 1]
        axes.plot(place, share, _LOOKS[name][1], color=_LOOKS[name][0], ms=7, clip_on=False)
    axes.set(
        xlim=(0, len(dataset.classes)),
        ylim=(0, 1),
        xlabel="users, each model's worst served first",
        ylabel="own typings recognised (rank 1)",
        title=f"Who is served badly: {_sample(dataset)}",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _plain(axes)
    _legend(figure, [*map(_handle, assessments)])
    return figure


def _robustness(assessments: dict[str, Assessment], dataset: Dataset) -> Figure | None:
    """Draw what noise in the times, and a coarse clock, leave of the rank-1 rate."""
    shown = {name: found for name, found in assessments.items() if found.disturbed}
    if not shown:
        return None
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    noise, clock = figure.subplots(1, 2, sharey=True)
    for name, assessment in shown.items():
        rates = [assessment.disturbed[f"jitter {ms} ms"] for ms in JITTER_MS]
        _line(noise, name, [0, *JITTER_MS], [assessment.evaluation["rank1"], *rates])
        _line(clock, name, TICK_MS, [assessment.disturbed[f"clock {ms} ms"] for ms in TICK_MS])
    noise.set(xlabel="standard deviation of noise on every time, ms", ylabel="rank-1 rate")
    noise.set_xticks([0, *JITTER_MS])
    clock.set(xlabel="tick of the clock, ms")
    clock.set_xticks(TICK_MS)
    for axes in (noise, clock):
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        _plain(axes)
    figure.suptitle(f"Disturbed times: {_sample(dataset)}")
    _legend(figure, [*map(_handle, shown)])
    return figure


def _line(axes: Axes, name: str, x: object, y: object) -> None:
    colour, marker = _LOOKS[name]
    axes.plot(x, y, marker=marker, ms=6, lw=1.6, color=colour, mec="white", mew=0.4, clip_on=False)


def _handle(name: str) -> Line2D:
    colour, marker = _LOOKS[name]
    return Line2D([], [], marker=marker, ms=6, lw=1.6, color=colour, label=name)


def _legend(figure: Figure, handles: list) -> None:
    width = 4 if figure.get_figwidth() > 5 else 2
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(width, len(handles)), frameon=False
    )


def _plain(axes: Axes) -> None:
    axes.grid(color=_GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _sample(dataset: Dataset) -> str:
    return f"{len(dataset.targets):,} held-out typings, {len(dataset.classes):,} users"


def _attempts(attempts: int) -> str:
    return f"{attempts} attempt{'s' * (attempts > 1)}"


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without a date, and without the version of matplotlib that `Creator` would tell.
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # Nobody sees less than a hundredth of a point.
    return _PATH.sub(lambda path: _FINER.sub(rb"\1", path[0]), buffer.getvalue())
