"""The model card's figures as SVG, the same bytes at every run."""

import io

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keystroke_training.data import Dataset
from keystroke_training.evaluate import Evaluation, cumulative_match

RANKS = 20
MAX_SHOWN_USERS = 150  # above that a dot is a group of users
GROUPS = 36
MAX_HALVINGS = 6  # of a dot's area

# Okabe and Ito's colours, which the colour-blind can tell apart.
_COLOURS = {"svm": "#0072B2", "rf": "#D55E00", "xgb": "#009E73"}
_HIT, _MISS, _INK, _FAINT = "#0072B2", "#D55E00", "#333333", "#999999"

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "svg.hashsalt": "keystroke_training",  # otherwise ids are random
}


def cmc_figure(evaluations: dict[str, Evaluation], dataset: Dataset) -> bytes:
    """Return the cumulative match characteristic of all models on held-out typings: how often
    the true user is among the first candidates, with the level of guessing.
    """
    ranks = np.arange(1, min(RANKS, len(dataset.classes)) + 1)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        curves = {
            name: cumulative_match(evaluation.ranks, len(ranks))
            for name, evaluation in evaluations.items()
        }
        for name, curve in sorted(curves.items(), key=lambda item: -item[1][-1]):
            axes.plot(
                ranks, curve, "o-", ms=4, lw=1.8, color=_COLOURS[name], label=name, clip_on=False
            )
        axes.plot(ranks, ranks / len(dataset.classes), "--", lw=1.2, color=_FAINT, label="guessing")
        axes.set(
            xlim=(0.5, ranks[-1] + 0.5),
            ylim=(0, 1),
            xlabel="best candidates looked at",
            ylabel="true user among them",
        )
        axes.set_title(f"{len(dataset.targets):,} held-out typings, {len(dataset.classes):,} users")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(color="#e6e6e6", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="best")
        return _svg(figure)


def confusion_figure(evaluations: dict[str, Evaluation], dataset: Dataset) -> bytes:
    """Return who is taken for whom on held-out typings, one panel per model.

    The larger a dot, the larger the share of the true user's typings. With more than
    MAX_SHOWN_USERS a dot stands for a group of users that are neighbours in class order.
    """
    users = len(dataset.classes)
    groups = users if users <= MAX_SHOWN_USERS else GROUPS
    unit, hit = "user", "recognised"
    if groups < users:
        unit, hit = f"group of {users / groups:.0f} users", "answered within the own group"
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(12, 4.75), layout="constrained")
        panels = figure.subplots(1, len(evaluations), sharey=True)
        for axes, (name, evaluation) in zip(panels, evaluations.items(), strict=True):
            _draw_confusion(axes, evaluation, users, groups)
            axes.set_title(f"{name}: {(evaluation.ranks == 1).mean():.1%} recognised")
            axes.set_xlabel(f"{unit} answered, in class order")
        panels[0].set_ylabel(f"true {unit}, in class order")
        handles = [
            Line2D([], [], marker="o", ls="", ms=7, mew=0, color=colour, label=label)
            for colour, label in ((_HIT, hit), (_MISS, "taken for another"))
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
        return _svg(figure)


def _draw_confusion(axes: Axes, evaluation: Evaluation, users: int, groups: int) -> None:
    true, answered = (
        indices * groups // users for indices in (evaluation.targets, evaluation.predicted)
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
            axes.plot(columns + 1, rows + 1, "o", ms=diameter, mew=0, color=colour, alpha=0.7)
    margin = max(groups / 50, 0.6)
    axes.set(xlim=(1 - margin, groups + margin), ylim=(groups + margin, 1 - margin), aspect="equal")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without a date, and without the version of matplotlib that `Creator` would tell.
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
