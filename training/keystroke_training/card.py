"""The model card: models/README.md, written from the figures of the run.

Sections that these models or data have nothing to say in are left out, so that every sentence
is true of any run: few users, few typings, or only some of the models.
"""

import numpy as np
from scipy.stats import binom

from keystroke_training.assessment import MOST_MEMBERSHIP_AUC, Assessment
from keystroke_training.data import Dataset
from keystroke_training.decisions import DEFAULT_FMR, DEFAULT_FPIR, FMR, FPIR
from keystroke_training.disturbances import JITTER_MS, TICK_MS
from keystroke_training.enrolment import SAMPLES, Findings
from keystroke_training.enrolment_trial import MOST_TYPINGS, SPLITS, STARTS
from keystroke_training.evaluate import FEWEST_TOGETHER, MOST_TOGETHER
from keystroke_training.measures import RESAMPLES
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

# ISO/IEC 19795-1's rule of 30: with fewer errors a rate is within ±30 % of the true one less
# often than nine times in ten.
_ENOUGH_ERRORS = 30
_UNTOLD = "–"  # a rate that so few false attempts can't tell

_MEANT_FOR = {
    "best": "`best` for raw timings",
    "summary": "`summary` for the eight numbers alone",
}
_REFERENCES = ("svm", "rf", "xgb")

_HOLDS = {
    "svm": "the support vectors in `svm.onnx` are feature rows of training typings",
    "summary": "`summary.onnx` holds centre and spread of every user",
    "templates": "`templates.onnx` holds every user's template, the biometric reference itself",
    "enrolment": "`enrolment.json` holds the same",
}
_OF_TREES = ("rf", "xgb", "trees")


def model_card(
    dataset: Dataset,
    seed: int,
    entries: list[dict],
    assessments: dict[str, Assessment],
    files: dict[str, bytes],
    over_the_api: dict | None = None,
) -> str:
    """Return the Markdown of the model card.

    `entries` are those of the manifest, `assessments` what they were made of by name, `files`
    the content of the models' files and of the figures by path, `over_the_api` what the service's
    benchmark measured of users who enrol with it.
    """
    raw = [entry for entry in entries if "decision" in entry]
    sections = [
        _head(dataset, entries),
        _data(dataset, entries, raw),
        _protocol(dataset, seed, entries, raw),
        _recognition(dataset, entries, files),
        _attempts(raw),
        _confidence(entries, files),
        _strangers(raw),
        _verification(raw, files),
        _enrolment(dataset, assessments, files, over_the_api),
        _users(dataset, entries, assessments, files),
        _robustness(entries, assessments, files),
        _membership(entries, raw),
        _scores(entries),
        _use(entries, raw, dataset),
        _exports(dataset, entries, files),
        _again(seed),
    ]
    return "\n\n".join(paragraph for section in sections for paragraph in section) + "\n"


def _head(dataset: Dataset, entries: list[dict]) -> list[str]:
    names = [entry["name"] for entry in entries]
    meant = [text for name, text in _MEANT_FOR.items() if name in names]
    references = [name for name in _REFERENCES if name in names]
    head = [
        "# Model card",
        "Written by the trainer; edit `training/`, not this file. Terms and manner are those of "
        "ISO/IEC 19795-1: a technology evaluation, offline, on typings that were collected before.",
        f"These models say which of {len(dataset.classes):,} known users typed a text, from the "
        f"rhythm of the {dataset.press.shape[1]} keys alone.",
    ]
    if meant:
        head.append(f"**Which to use:** {', '.join(meant)}.")
    if references:
        head.append(
            f"{_listed(_code(references))}: of the original exercise, with defaults made explicit, "
            "as a baseline to compare with."
        )
    return head


def _data(dataset: Dataset, entries: list[dict], raw: list[dict]) -> list[str]:
    counts = dataset.repetition_counts
    repetitions = f"{min(counts)} to {max(counts)}" if len(set(counts)) > 1 else counts[0]
    keys = dataset.press.shape[1]
    public = dataset.sha256 in _PUBLIC_DATA
    if dataset.has_sessions:
        sittings = "The file tells users' sittings apart."
    elif public:
        sittings = "As far as is known, all typings of a user are of one sitting."
    else:
        sittings = "The file does not tell sittings apart."
    sees = []
    if len(raw) < len(entries):
        sees.append(
            "- **Eight numbers**: the mean and the population standard deviation of hold (HT), "
            "press-press (PPT), release-release (RRT) and release-press time (RPT). Seen by "
            f"{_listed(_code(e['name'] for e in entries if e not in raw))}."
        )
    if raw:
        sees.append(
            f"- **Raw timings**: {6 * keys - 2} numbers that follow from the press and release of "
            f"every key. Seen by {_listed(_code(e['name'] for e in raw))}."
        )
    return [
        "## Data",
        f"{len(dataset.targets):,} typings of one {keys}-key text by {len(dataset.classes):,} "
        f"users, {repetitions} each, with the press and release time of every key in ms. "
        f"{_PUBLIC_DATA.get(dataset.sha256, 'It is not shipped here.')} {sittings}",
        f"SHA-256 of the file: `{dataset.sha256}`.",
        "\n".join(sees),
    ]


def _protocol(dataset: Dataset, seed: int, entries: list[dict], raw: list[dict]) -> list[str]:
    unit = "sitting" if dataset.has_sessions else "typing"
    points = [
        f"- **Held out**: the k-th {unit} of every user is held out in fold k modulo the number of "
        "folds and answered by models fitted on the others. Every user is known to them; only the "
        f"{unit} is new.",
    ]
    some = raw[0]["evaluation"] if raw else {}
    if "later" in some:
        points.append(
            f"- **First to last**: fitted on the first three quarters of a user's {unit}s, asked "
            "about the last."
        )
    if some.get("attempts"):
        together = f"They are held out together, {FEWEST_TOGETHER} of them."
        if dataset.has_sessions:
            together = "Whole sittings are held out for it."
        elif any(found["attempts"] > FEWEST_TOGETHER for found in some["attempts"]):
            together = (
                f"They are held out together, {FEWEST_TOGETHER} for up to {FEWEST_TOGETHER} "
                f"attempts and {MOST_TOGETHER} for more: those models are fitted on fewer typings, "
                "which weighs against the further attempts."
            )
        points.append(f"- **Several attempts**: typings in a row by one user, fused. {together}")
    if _has_strangers(raw):
        points.append(
            "- **Strangers** are left out of the fitting altogether: "
            f"{some['strangers']['protocol']}. They make zero-effort attempts: nobody imitated "
            "anybody. The models that they are asked are fitted on all typings of the others, as "
            "the shipped ones are. Known users are asked about with held-out typings, so of models "
            "fitted on as many less: the shipped ones miss somewhat fewer."
        )
    points += [
        f"- **Intervals** are 95 % percentile bootstraps over users ({RESAMPLES:,} resamples; "
        "fewer for calibration error and EER): the typings of one user are not independent. "
        f"Thresholds stand still in them. Seed {seed}.",
        "- **Failures** to enrol or to acquire are not measured: all typings are complete.",
        f"- **Choices**: {' '.join(_choices(dataset, entries, raw))}",
        "- The shipped models are fitted on all typings.",
    ]
    return ["## Protocol", "\n".join(points), _drift(dataset)]


def _choices(dataset: Dataset, entries: list[dict], raw: list[dict]) -> list[str]:
    """Sentences on what was chosen on what data."""
    sentences = []
    ours = [entry["name"] for entry in entries if entry["name"] not in _REFERENCES]
    if ours:
        same = (
            "the same data as here, and those of the decisions by leaving users out: expect a "
            "little optimism."
            if dataset.sha256 in _PUBLIC_DATA
            else "not on these data."
        )
        sentences.append(
            f"The constants of {_listed(_code(ours))} were settled on the public data set of the "
            f"original exercise by leaving repetitions out, {same}"
        )
    sentences.append("All that models learn from typings is learned inside each fold.")
    if any(entry["evaluation"].get("attempts") for entry in raw):
        sentences.append(
            "How far attempts repeat each other is one number, read off the held-out attempts."
        )
    if _has_strangers(raw):
        sentences.append(
            "Published thresholds are set on all strangers; what they are said to do was measured "
            "with thresholds set without the strangers that it was measured on."
        )
    return sentences


def _drift(dataset: Dataset) -> str:
    if dataset.has_sessions:
        return (
            "**Sessions.** Sittings are held out whole, so rates are those of another sitting. "
            "Rhythms drift: years, another keyboard or another text are not measured."
        )
    return (
        "**Session drift is not measured.** Typings of one sitting resemble each other more than "
        "those of another day. Expect more errors on another day, another keyboard or after "
        "practice; enrol and measure over several days before relying on any rate here."
    )


def _recognition(dataset: Dataset, entries: list[dict], files: dict[str, bytes]) -> list[str]:
    users = len(dataset.classes)
    evaluation = entries[0]["evaluation"]
    rows = []
    for entry in entries:
        found = entry["evaluation"]
        low, high = found["rank1Interval"]
        rows.append(
            f"| {entry['name']}: {entry['title']} | {found['rank1']:.1%} | {low:.1%} to {high:.1%} "
            f"| {found['rank5']:.1%} | {found['macroF1']:.3f} | {found['training']['rank1']:.1%} |"
        )
    return [
        "## Identification among known users",
        _table(
            "model | rank-1, held out | 95 % interval | rank-5, held out | macro F1, held out "
            "| rank-1, training",
            [*rows, f"| guessing | {1 / users:.1%} | | {min(5 / users, 1):.1%} | | |"],
        ),
        f"Rank-k is the share of typings whose true user is among the first k candidates. "
        f"n = {evaluation['n']:,} held-out typings, {evaluation['protocol']}, "
        f"{evaluation['folds']} folds. The last column shows the shipped models on the rows they "
        "were fitted on: memory, not recognition.",
        *_image(files, "cmc", "Cumulative match characteristic"),
        *_image(files, "confusion", "Who is taken for whom"),
    ]


def _attempts(raw: list[dict]) -> list[str]:
    if not any(
        entry["evaluation"].get("attempts") or "later" in entry["evaluation"] for entry in raw
    ):
        return []
    rows, numbers = [], []
    for entry in raw:
        evaluation = entry["evaluation"]
        ways = {"1 attempt": evaluation}
        if "later" in evaluation:
            ways["first to last"] = evaluation["later"]
        ways |= {f"{way['attempts']} attempts": way for way in evaluation.get("attempts", [])}
        cells = [f"{way['rank1']:.1%} {_span(way['rank1Interval'])}" for way in ways.values()]
        numbers = [f"{way} (n = {found['n']:,})" for way, found in ways.items()]
        rows.append(f"| {entry['name']} | {' | '.join(cells)} |")
    paragraphs = ["Rank-1 and its 95 % interval, %, of raw timings:"]
    paragraphs.append(_table(f"model | {' | '.join(numbers)}", rows))
    if "later" in raw[0]["evaluation"]:
        paragraphs.append(
            "*First to last* against *1 attempt* shows the drift from a user's first typings to "
            "the last, and what fewer typings to fit on cost."
        )
    return paragraphs


def _confidence(entries: list[dict], files: dict[str, bytes]) -> list[str]:
    rows = [
        f"| {entry['name']} | {found['logLoss']:.3f} {_span(found['logLossInterval'], '.3f', 1)} "
        f"| {found['calibrationError']:.3f} {_span(found['calibrationErrorInterval'], '.3f', 1)} |"
        for entry in entries
        if "logLoss" in (found := entry["evaluation"])
    ]
    if not rows:
        return []
    return [
        "## Confidence",
        _table("model | log-loss | expected calibration error", rows),
        "Of held-out typings, with 95 % intervals. The calibration error is the mean distance "
        "between confidence and share right over ten bins of as many typings each. It can't be "
        "negative, so resampling moves its interval up. A probability of 0 counts as 2⁻²³ in the "
        "log-loss. Confidence is shared out among the known users only: a stranger can have a high "
        "one.",
        *_image(files, "calibration", "Confidence against how often it is right"),
    ]


def _strangers(raw: list[dict]) -> list[str]:
    if not raw:
        return []
    if not _has_strangers(raw):
        return [
            "## Strangers",
            "Too few users to leave some out as strangers. The thresholds for a FPIR were read off "
            "false claims among the known users, and what they do to strangers is not measured.",
        ]
    rows, ratios, default_ratios = [], [], []
    for entry in raw:
        for found in entry["evaluation"]["strangers"]["attempts"]:
            if not found["points"]:
                continue
            cells = dict.fromkeys(FPIR, _UNTOLD)
            for point in found["points"]:
                low, high = point["identifiedInterval"]
                missed = 1 - point["identified"]
                realised = point["realisedFpir"]
                few = min(missed * found["n"], realised * found["strangers"]) < _ENOUGH_ERRORS
                cells[point["fpir"]] = _rate(missed, (1 - high, 1 - low), realised, few=few)
                ratios.append(realised / point["fpir"])
                if point["fpir"] == DEFAULT_FPIR:
                    default_ratios.append(ratios[-1])
            rows.append(
                f"| {entry['name']} | {found['attempts']} | {found['n']:,} "
                f"| {found['strangers']:,} | {found['auroc']:.3f} | {' | '.join(cells.values())} |"
            )
    points = " | ".join(_point("FNIR at FPIR", rate, DEFAULT_FPIR) for rate in FPIR)
    return [
        '## Strangers: "unknown"',
        _table(f"model | attempts | known, n | strangers, n | AUROC | {points}", rows),
        f"FPIR: share of strangers who are called known. FNIR: share of known users who are called "
        "unknown, or somebody else. In cells: FNIR, its 95 % interval, and the FPIR that was "
        f"realised, %. Realised FPIRs are {min(default_ratios):.2f} to {max(default_ratios):.2f} "
        f"times the stated one at {DEFAULT_FPIR:.0%}, {min(ratios):.2f} to {max(ratios):.2f} at "
        f"all points.{_too_few(rows)}",
        "So *unknown* says that nobody known stands out enough, not that the typist is a stranger; "
        "and *known* is said to strangers at the rate of the operating point.",
    ]


def _verification(raw: list[dict], files: dict[str, bytes]) -> list[str]:
    rows = _claims(raw)
    if not rows:
        return []
    impostors = (
        "Impostors are strangers, who claim to be each of the known users."
        if _has_strangers(raw)
        else "There are too few users for strangers: impostors are the other known users, whom the "
        "models were fitted on. That flatters."
    )
    points = " | ".join(_point("FNMR at FMR", rate, DEFAULT_FMR) for rate in FMR)
    return [
        "## Verification of a claimed user",
        _table(f"model | attempts | genuine, n | impostor, n | EER | {points}", rows),
        "FMR: share of false claims that match. FNMR: share of true claims that do not. "
        f"{impostors} One threshold for all users. In cells: FNMR, its 95 % interval, and the FMR "
        f"that was realised, %.{_too_few(rows)}",
        *_image(files, "det", "Detection error trade-off, with the published operating points"),
    ]


def _enrolment(
    dataset: Dataset,
    assessments: dict[str, Assessment],
    files: dict[str, bytes],
    over_the_api: dict | None,
) -> list[str]:
    """Users who enrol with a service whose models were trained without them."""
    found = next((a.enrolment for a in assessments.values() if a.enrolment is not None), None)
    if found is None:
        return []
    users = found.measured[0]["users"]
    rows = []
    for rates in found.measured:
        errors = rates["fnmr"] * rates["genuine"], rates["realisedFmr"] * rates["impostor"]
        few = min(errors) < _ENOUGH_ERRORS
        rows.append(
            f"| {rates['samples']} | {rates['attempts']} | {rates['genuine']:,} "
            f"| {rates['impostor']:,} | {rates['eer']:.1%} {_span(rates['eerInterval'])} | "
            + _rate(rates["fnmr"], rates["fnmrInterval"], rates["realisedFmr"], few=few, digits=2)
            + f" | {rates['rank1']:.1%} {_span(rates['rank1Interval'])} |"
        )
    members = _listed(
        [f"{rates['fnmr']:.1%} after {rates['samples']} typings" for rates in found.members]
    )
    return [
        "## Users who enrol later",
        "Nothing is fitted again for them: `enrolment.json` has all that their templates are made "
        f"and judged with. Measured on {users} users at a time whom a population of "
        f"{len(dataset.classes) - users} others lacks, {SPLITS} times with others. They enrol with "
        f"some typings in a row, in {STARTS} choices; each of the rest, of {MOST_TYPINGS} at most, "
        "claims to be every one of them. The population is the cohort.",
        _table(
            "typings to enrol with | attempts | genuine, n | impostor, n | EER "
            f"| FNMR at FMR {DEFAULT_FMR:.0%} | rank-1 among {users}",
            rows,
        ),
        "One threshold for all users. In brackets 95 % intervals, behind FNMR the FMR that was "
        "realised, %. The same typings are counted again in every split and choice: intervals "
        f"are of users.{_too_few(rows)}",
        *_image(files, "enrolment", "Error rates against the typings to enrol with"),
        "People of the population may enrol as well: whoever is recognised as one of it is left "
        f"out of their own cohort. Of their true claims {members} are refused at the thresholds "
        f"for FMR {DEFAULT_FMR:.0%}. That flatters a little: the population knew them by other "
        "typings then, but its weights were learned from all.",
        *_gallery(found),
        *_other_texts(dataset, found),
        *measured_over_the_api(dataset, over_the_api),
    ]


def _gallery(found: Findings) -> list[str]:
    most = max(rates["samples"] for rates in found.identification if rates["samples"] <= SAMPLES)
    shown = [rates for rates in found.identification if rates["samples"] == most]
    rows = []
    for enrolled, attempts in dict.fromkeys((r["enrolled"], r["attempts"]) for r in shown):
        cells = [
            f"{100 * rates['fnir']:.1f}, {100 * rates['realisedFpir']:.1f}"
            for rates in shown
            if (rates["enrolled"], rates["attempts"]) == (enrolled, attempts)
        ]
        rows.append(f"| {enrolled} | {attempts} | {' | '.join(cells)} |")
    points = " | ".join(f"FNIR at FPIR {rate:.0%}" for rate in FPIR)
    return [
        "### Who of those enrolled",
        "The threshold for a FPIR follows from how many are enrolled: a stranger who matches each "
        "of N independently is taken for one of them at FPIR = 1 − (1 − FMR)ᴺ, and false claims "
        f"are taken to fall off exponentially. After {most} typings to enrol with: FNIR, and the "
        "FPIR that was realised, %, by the published thresholds, which were set on the same "
        "claims.",
        _table(f"enrolled | attempts | {points}", rows),
    ]


def _other_texts(dataset: Dataset, found: Findings) -> list[str]:
    samples = max(p["samples"] for p in found.general["points"] if p["samples"] <= SAMPLES)
    rows = []
    for rates in found.general["measured"]:
        if (rates["samples"], rates["attempts"]) != (samples, 1):
            continue
        (point,) = [point for point in rates["points"] if point["fmr"] == DEFAULT_FMR]
        rows.append(
            f"| {rates['keys']} | {rates['enrolled']} | {rates['eer']:.1%} | {rates['rank1']:.1%} "
            f"| {point['fnmr']:.1%} | {point['realisedFmr']:.1%} |"
        )
    return [
        "### Another text",
        "Of a text that the models do not know is expected what holds for keys and pairs of keys "
        "of any text, and more and more what is usual among those enrolled for it. Measured on the "
        f"same splits, as if nothing were known of the text: all {dataset.press.shape[1]} keys of "
        f"it, and the first and the last ones. After {samples} typings to enrol with, one attempt:",
        _table(
            f"keys | enrolled | EER | rank-1 | FNMR at FMR {DEFAULT_FMR:.0%} | realised FMR", rows
        ),
        "Thresholds are the same however many are enrolled. The fewer keys, the less there is to "
        "go by; longer texts are not measured.",
    ]


def measured_over_the_api(dataset: Dataset, found: dict | None) -> list[str]:
    """What the service answered to users of this data who enrolled with it; nothing of others."""
    if found is None or found["data"] != dataset.sha256:
        return []
    rows = []
    for rates in found["measured"]:
        (point,) = [point for point in rates["points"] if point["fmr"] == DEFAULT_FMR]
        rows.append(
            f"| {rates['samples']} | {rates['attempts']} | {rates['genuine']:,} "
            f"| {rates['impostor']:,} | {rates['eer']:.1%} "
            f"| {point['fnmr']:.1%} ({100 * point['realisedFmr']:.2f}) | {rates['rank1']:.1%} |"
        )
    return [
        "### Over the API",
        f"The same asked of the service itself: models fitted on all but {found['unseen']} users, "
        f"who were enrolled with `POST /texts/:text/users/:user/samples`, and whose other typings "
        "claimed to be each of them with `/verify` and were looked for with `/identify`, "
        f"{found['splits']} times with others ([how](../bench/README.md#quality), "
        "[all rates](../bench/results/quality.md)). By fewer typings it recognises nobody.",
        _table(
            "typings to enrol with | attempts | genuine, n | impostor, n | EER "
            f"| FNMR at FMR {DEFAULT_FMR:.0%} | rank-1 among {found['unseen']}",
            rows,
        ),
    ]


def _claims(raw: list[dict]) -> list[str]:
    rows = []
    for entry in raw:
        for found in entry["evaluation"].get("verification", {}).get("attempts", []):
            if "eer" not in found:
                continue
            cells = dict.fromkeys(FMR, _UNTOLD)
            for point in found["points"]:
                realised = point["realisedFmr"]
                errors = point["fnmr"] * found["genuine"], realised * found["impostor"]
                few = min(errors) < _ENOUGH_ERRORS
                cells[point["fmr"]] = _rate(
                    point["fnmr"], point["fnmrInterval"], realised, few=few, digits=2
                )
            rows.append(
                f"| {entry['name']} | {found['attempts']} | {found['genuine']:,} "
                f"| {found['impostor']:,} | {found['eer']:.1%} {_span(found['eerInterval'])} "
                f"| {' | '.join(cells.values())} |"
            )
    return rows


def _users(
    dataset: Dataset,
    entries: list[dict],
    assessments: dict[str, Assessment],
    files: dict[str, bytes],
) -> list[str]:
    shares = ("min", "lowerQuartile", "median", "upperQuartile", "max")
    rows = []
    for entry in entries:
        found = entry["evaluation"]["perUser"]
        cells = " | ".join(f"{found[share]:.1%}" for share in shares)
        expected = _expected_below_half(dataset, entry["evaluation"]["rank1"])
        rows.append(f"| {entry['name']} | {cells} | {found['belowHalf']} | {expected:.1f} |")
    return [
        "## Who is served badly",
        _table(
            "model | worst user | lower quartile | median | upper quartile | best user "
            "| users below half | by chance",
            rows,
        ),
        f"Rank-1 of each of the {len(dataset.classes):,} users' own held-out typings. The last "
        "columns: users recognised in fewer than half of their typings, and how many that would "
        "be if all users were equally hard.",
        *_persistence(dataset, _leading(entries), assessments),
        "Which people these are is not known: the data say nothing of age, hands, health, keyboard "
        "or language, so differences between groups are not measured.",
        *_image(files, "users", "Share of their own typings that users are recognised by"),
    ]


def _persistence(dataset: Dataset, entry: dict, assessments: dict[str, Assessment]) -> list[str]:
    """Whether a miss says that the same user's next typing is missed as well."""
    missed = assessments[entry["name"]].ranks > 1
    after_miss, after_hit = [], []
    for target in range(len(dataset.classes)):
        own = missed[dataset.targets == target]
        after_miss += own[1:][own[:-1]].tolist()
        after_hit += own[1:][~own[:-1]].tolist()
    if not after_miss or not after_hit or np.mean(after_miss) <= np.mean(after_hit):
        return []
    return [
        f"A user who is served badly stays so: after a typing that `{entry['name']}` missed it "
        f"misses the same user's next one in {np.mean(after_miss):.0%} of cases "
        f"(n = {len(after_miss):,}), after one that it recognised in {np.mean(after_hit):.0%} "
        f"(n = {len(after_hit):,}). Trying again helps them less than others."
    ]


def _expected_below_half(dataset: Dataset, rate: float) -> float:
    counts = np.array(dataset.repetition_counts)
    return float(binom.cdf((counts + 1) // 2 - 1, counts, rate).sum())


def _robustness(
    entries: list[dict], assessments: dict[str, Assessment], files: dict[str, bytes]
) -> list[str]:
    rows = [
        f"| {entry['name']} | {entry['evaluation']['rank1']:.1%} | {' | '.join(cells)} |"
        for entry in entries
        if (cells := [f"{rate:.1%}" for rate in assessments[entry["name"]].disturbed.values()])
    ]
    if not rows:
        return []
    names = [f"noise {ms} ms" for ms in JITTER_MS] + [f"clock {ms} ms" for ms in TICK_MS]
    return [
        "## Robustness",
        _table(f"model | as typed | {' | '.join(names)}", rows),
        "Rank-1 of the held-out typings when normal noise of that standard deviation is added to "
        "every press and release, or a clock ticks that coarsely. The models were fitted on times "
        "as they are; only what they are asked is disturbed.",
        *_image(files, "robustness", "Rank-1 under noise and coarse clocks"),
    ]


def _membership(entries: list[dict], raw: list[dict]) -> list[str]:
    hidden = [entry["name"] for entry in entries if entry["hideScores"]]
    rows = [
        f"| {entry['name']} | {entry['evaluation']['membershipAuc']:.2f} "
        f"| {'hidden' if entry['hideScores'] else 'shown'} |"
        for entry in entries
    ]
    paragraphs = [
        "## Scores tell who was in the training set",
        _table("model | membership AUC | candidates' scores by default", rows),
        "How often the best returned score of a typing that the model was fitted on is above that "
        "of a held-out one: 0.5 tells nothing, 1 tells everything. At "
        f"{MOST_MEMBERSHIP_AUC} or above the service leaves candidates' scores out unless "
        "`SHOW_SCORES` names the model"
        + (f": so for {_listed(_code(hidden))}." if hidden else "; that is none of these."),
    ]
    exposed = [entry["name"] for entry in raw if entry["hideScores"]]
    if exposed:
        paragraphs.append(
            f"That does not close the leak of {_listed(_code(exposed))}: `confidence` is the best "
            "candidate's score, and is answered all the same, as is the score of a verification, "
            "because a decision can't be judged without. Pass neither on to people who must not "
            "learn whose typings were used."
        )
    return paragraphs


def _scores(entries: list[dict]) -> list[str]:
    return [
        "## What a score means, and what decides between equals",
        _by_text(entries, "scores"),
        _by_text(entries, "ties"),
    ]


def _by_text(entries: list[dict], field: str) -> str:
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry[field], []).append(f"**{entry['name']}**")
    return "\n".join(f"- {', '.join(those)}: {text}" for text, those in names.items())


def _use(entries: list[dict], raw: list[dict], dataset: Dataset) -> list[str]:
    leading = _leading(entries)
    summaries = [entry["name"] for entry in entries if entry not in raw]
    points = [
        "- Use: one signal of risk among others, a demonstration, a baseline. An unlikely typist "
        "is a reason to ask for something else, never by itself a reason to accuse or to lock out.",
        "- Not an authenticator: by itself it lets the wrong ones in and the right ones stand "
        "outside at the rates above, which are those of people who do not even try; a recorded "
        "typing is taken as often as it is sent, and one can be made up (the service's threat "
        "model has figures).",
        f"- Not for finding out who wrote something: even `{leading['name']}` names somebody else "
        f"for {1 - leading['evaluation']['rank1']:.1%} of known users' typings.",
    ]
    if summaries:
        points.append(
            f"- {_listed(_code(summaries))} always name one of the known users, for a stranger's "
            "typing too."
            if len(summaries) > 1
            else f"- `{summaries[0]}` always names one of the known users, for a stranger's typing "
            "too."
        )
    names = [entry["name"] for entry in entries]
    if any("enrolment" in entry["evaluation"] for entry in entries):
        names.append("enrolment")
    held = [text for name, text in _HOLDS.items() if name in names]
    of_trees = [f"`{name}.onnx`" for name in _OF_TREES if name in names]
    if of_trees:
        held.append(f"the thresholds in {_listed(of_trees)} lie among the training typings' rows")
    points += [
        f"- The files hold personal data: {'; '.join(held)}.",
        "- Typing rhythm is biometric data in many jurisdictions: people must have agreed to its "
        "use, and nobody should lose something by it without another way to prove who they are.",
    ]
    limits = [
        "- Only for the text that the models were trained on, of "
        f"{dataset.press.shape[1]} keys, typed in full by one of {len(dataset.classes):,} users: "
        "more users make identification harder.",
        "- Fatigue, injury, another keyboard, a remote desktop or practice change the rhythm.",
    ]
    if summaries:
        limits.append(
            "- Means and spreads forget which key was slow, and with it much of what tells people "
            "apart."
        )
    return [
        "## Intended use and misuse",
        "\n".join(points),
        "## Limits",
        "\n".join(limits),
    ]


def _exports(dataset: Dataset, entries: list[dict], files: dict[str, bytes]) -> list[str]:
    rows = []
    for entry in entries:
        parity = entry["parity"]
        if "file" in entry:
            file = f"`{entry['file']}` | {len(files[entry['file']]):,}"
        else:
            members = _listed(_code(member["model"] for member in entry["members"]))
            file = f"`{entry['name']}`, made of {members} | no file"
        rows.append(
            f"| {file} | {parity['labelDifferences']} | {parity['maxScoreDifference']:g} "
            f"| {parity['ties']:,} "
            f"| {parity['borderlineRows']:,} ({parity['borderlineLabelDifferences']:,}) |"
        )
    return [
        "## The files",
        "Each export was compared with the estimator it was made from on the data's "
        f"{len(dataset.targets):,} rows and on {entries[0]['parity']['perturbedRows']:,} perturbed "
        f"ones. Labels must be equal and scores within {TOLERANCE:g} (large ones relative to their "
        "size), except on borderline rows, where rounding alone may decide; otherwise the training "
        "fails.",
        _table(
            "file | bytes | label differences | greatest score difference | ties "
            "| borderline rows (labels that differ)",
            rows,
        ),
        "A tie is a row whose best class is not alone. SHA-256 sums, versions, parameters and "
        "thresholds are in `manifest.json`; `golden.json` has known answers.",
    ]


def _again(seed: int) -> list[str]:
    return [
        "## Make them again",
        "`npm run train -- path/to/data.csv` trains, proves and measures the models, draws the "
        f"figures and replaces the files in this folder. The seed of these is {seed}; the same "
        "data, options and packages (`training/requirements.lock`) give the same bytes.",
    ]


def _leading(entries: list[dict]) -> dict:
    """The entry that sentences about one model are about: the one with the highest rank-1."""
    return max(entries, key=lambda entry: entry["evaluation"]["rank1"])


def _has_strangers(raw: list[dict]) -> bool:
    return any(
        found["points"]
        for entry in raw
        for found in entry["evaluation"].get("strangers", {}).get("attempts", [])
    )


def _point(rates: str, rate: float, default: float) -> str:
    return f"{rates} {100 * rate:g} %{' (default)' if rate == default else ''}"


def _rate(
    missed: float, span: tuple[float, float], realised: float, *, few: bool, digits: int = 1
) -> str:
    return f"{100 * missed:.1f} {_span(span)}, {100 * realised:.{digits}f}{' †' if few else ''}"


def _too_few(rows: list[str]) -> str:
    if not any("†" in row for row in rows):
        return ""
    return (
        f" †: fewer than {_ENOUGH_ERRORS} errors of a kind, too few for a firm rate (rule of 30)."
    )


def _span(interval: tuple[float, float], form: str = ".1f", unit: float = 100) -> str:
    low, high = interval
    return f"[{unit * low:{form}}, {unit * high:{form}}]"


def _table(head: str, rows: list[str]) -> str:
    rule = " | ".join("---" for _ in head.split(" | "))
    return "\n".join([f"| {head} |", f"| {rule} |", *rows])


def _image(files: dict[str, bytes], name: str, text: str) -> list[str]:
    path = f"figures/{name}.svg"
    return [f"![{text}]({path})"] if path in files else []


def _code(names: object) -> list[str]:
    return [f"`{name}`" for name in names]


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
