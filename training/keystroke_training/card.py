"""The model card: models/README.md, written from the figures of the run."""

from keystroke_training.data import Dataset
from keystroke_training.evaluate import RESAMPLES
from keystroke_training.parity import TOLERANCE

# The public data set of the original exercise, recognised by its SHA-256.
_PUBLIC_DATA = {
    "d94fadc0cf773596a6bfaf5b506aa72cd86a601f8e9295770c9d256e17869a84": (
        "It is the public file `Train_keystroke.csv` of the GitHub repository "
        "`ajosegun/Keystroke-Based-User-Recognition-System` (the same bytes as `keystroke.csv` "
        "in `BogdanAlinTudorache/KeystrokeDynamics`). It carries no licence, so it is not "
        "shipped here."
    )
}

_CARD = """\
# Model card

Written by the trainer; edit `training/`, not this file.

These models say which of {users:,} known users typed a text, from the rhythm of the
{keys} keys alone. They are reference models: the estimators of the original exercise with
their defaults made explicit, as a baseline to compare with.

## Data

{rows:,} typings of one {keys}-key text by {users:,} users, {repetitions} each, with the press
and release time of every key in ms. {provenance}

SHA-256 of the file: `{sha256}`.

A model sees eight numbers per typing: the mean and the population standard deviation of hold
(HT), press-press (PPT), release-release (RRT) and release-press time (RPT).

## How well they recognise

| model | rank-1, held out | 95 % interval | rank-5, held out | macro F1, held out | \
rank-1, training | rank-5, training |
| --- | --- | --- | --- | --- | --- | --- |
{evaluation_table}
| guessing | {chance1:.1%} | | {chance5:.1%} | | | |

Rank-k is the share of typings whose true user is among the first k candidates. n = {n:,}
held-out typings.

**Protocol: leave one repetition out.** The k-th typing of every user is held out in fold
k mod {folds} ({folds} folds) and answered by a model trained on the others. Every user is known
to the model; only the typing is new. Another day, another keyboard or another text are not
measured. The shipped models are trained on all rows. The
interval is a percentile bootstrap over users ({resamples:,} resamples), because the typings of
one user are not independent.

The training columns show the shipped models on the rows they were trained on. That is memory,
not recognition: {memorisation}.

![How often the true user is among the first candidates](figures/cmc.svg)

![Who is taken for whom](figures/confusion.svg)

## What a score means

{score_list}

## What decides between equals

{tie_list}

## Intended use and misuse

- Use: a demonstration, a baseline, at most one weak signal of risk among others.
- Not an authenticator: the table above says how many answers name somebody else.
- Closed set: an answer always names one of the known users, a stranger's typing too.
- Scores leak membership: the forest gives the typings it was trained on far higher scores than
  new ones. Do not show its scores to people who must not learn whose typings were used.
- The files hold personal data: the support vectors in `svm.onnx` are the feature rows of
  training typings, and the trees' thresholds lie between such rows.
- Typing rhythm is biometric data in many jurisdictions: people must have agreed to its use,
  and nobody should lose something by it without another way to prove who they are.

## Limits

- Only for the text the models were trained on, of {keys} keys, typed in full.
- Means and spreads forget which key was slow, and with it much of what tells people apart.
- Fatigue, injury, another keyboard or remote desktop change the rhythm.

## The files

Each export was compared with the estimator it was made from on the data's {rows:,} rows and on
{perturbed:,} perturbed ones. Labels must be equal and scores within {tolerance:g}, except on
borderline rows, where rounding alone may decide; otherwise the training fails.

| file | bytes | label differences | greatest score difference | ties | borderline rows \
(labels that differ) |
| --- | --- | --- | --- | --- | --- |
{file_table}

A tie is a row whose best class is not alone. SHA-256 sums, versions and parameters are in
`manifest.json`; `golden.json` has known answers.

## Make them again

`npm run train -- path/to/data.csv` trains, proves and measures the models and replaces the files
in this folder. The seed of these is {seed}; the same data, seed and packages
(`training/requirements.lock`) give the same bytes.
"""


def model_card(dataset: Dataset, seed: int, entries: list[dict], files: dict[str, bytes]) -> str:
    """Return the Markdown of the model card.

    `entries` are those of the manifest, `files` the content of the model files by name.
    """
    users = len(dataset.classes)
    counts = dataset.repetition_counts
    evaluation = entries[0]["evaluation"]
    return _CARD.format(
        users=users,
        keys=dataset.press.shape[1],
        rows=len(dataset.targets),
        repetitions=f"{min(counts)} to {max(counts)}" if len(set(counts)) > 1 else counts[0],
        provenance=_PUBLIC_DATA.get(dataset.sha256, "It is not shipped here."),
        sha256=dataset.sha256,
        evaluation_table="\n".join(_evaluation_row(entry) for entry in entries),
        chance1=1 / users,
        chance5=min(5 / users, 1),
        n=evaluation["n"],
        folds=evaluation["folds"],
        resamples=RESAMPLES,
        memorisation=", ".join(_memorisation(entry) for entry in entries),
        score_list="\n".join(f"- **{entry['name']}**: {entry['scores']}" for entry in entries),
        tie_list="\n".join(f"- **{entry['name']}**: {entry['ties']}" for entry in entries),
        perturbed=entries[0]["parity"]["perturbedRows"],
        tolerance=TOLERANCE,
        file_table="\n".join(_file_row(entry, files) for entry in entries),
        seed=seed,
    )


def _evaluation_row(entry: dict) -> str:
    figures, training = entry["evaluation"], entry["evaluation"]["training"]
    low, high = figures["rank1Interval"]
    return (
        f"| {entry['name']}: {entry['title']} | {figures['rank1']:.1%} | {low:.1%} to {high:.1%} "
        f"| {figures['rank5']:.1%} | {figures['macroF1']:.3f} "
        f"| {training['rank1']:.1%} | {training['rank5']:.1%} |"
    )


def _memorisation(entry: dict) -> str:
    figures = entry["evaluation"]
    return (
        f"{entry['name']} names {figures['training']['rank1']:.1%} of its training rows "
        f"and {figures['rank1']:.1%} of new ones"
    )


def _file_row(entry: dict, files: dict[str, bytes]) -> str:
    parity = entry["parity"]
    return (
        f"| `{entry['file']}` | {len(files[entry['file']]):,} | {parity['labelDifferences']} "
        f"| {parity['maxScoreDifference']:g} | {parity['ties']:,} "
        f"| {parity['borderlineRows']:,} ({parity['borderlineLabelDifferences']:,}) |"
    )
