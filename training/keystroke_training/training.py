"""One training run, from a dataset to published artefacts."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from keystroke_training.artefacts import MANIFEST, manifest_json, model_entry, publish
from keystroke_training.assessment import Asked, Assessment, assess
from keystroke_training.card import model_card
from keystroke_training.data import Dataset
from keystroke_training.enrolment import FILE as ENROLMENT
from keystroke_training.enrolment import enrolment_json
from keystroke_training.evaluate import ask, lay_out, rank_candidates, run
from keystroke_training.export.gallery import FILE as GALLERY
from keystroke_training.export.gallery import export_gallery
from keystroke_training.export.graph import Classes
from keystroke_training.figures import figures
from keystroke_training.general import fit_general
from keystroke_training.golden import check_row, golden_json, known_answers
from keystroke_training.models import MODELS, Estimator, Model, fit_models
from keystroke_training.parity import Parity, ParityError, compare
from keystroke_training.runtime import Exported


def train(
    dataset: Dataset,
    out: Path,
    seed: int,
    names: list[str] | None = None,
    folds: int | None = None,
    over_the_api: dict | None = None,
) -> None:
    """Fit models on all rows, export, prove and measure them, and publish the artefacts in `out`.

    `names` are the models wanted (default all); those that one of them is made of come with it.
    `folds` is how many parts are held out in turn (default: as many as there are repetitions, or
    sessions, at most ten). `over_the_api` is what the service's benchmark measured, for the card,
    which has it only where it is of this data. Raises ParityError, and leaves `out` as it was, if
    an export differs from its source, DataError if there can't be so many folds.
    """
    models = _wanted(names)
    trials = lay_out(dataset, [model.name for model in models], folds)
    print(f"fitting {', '.join(model.name for model in models)}", flush=True)
    keys = dataset.press.shape[1]
    estimators = fit_models(models, dataset.features, dataset.targets, seed, keys)
    contents: dict[str, bytes] = {}
    parities: dict[str, Parity] = {}
    for model in models:
        print(f"{model.name}: exporting, comparing", flush=True)
        content, parities[model.name] = _proved(model, estimators, contents, dataset, seed)
        if content is not None:
            contents[model.name] = content
    assessments = _assessed(models, estimators, trials, dataset, seed)
    decisions = {
        name: found.decision for name, found in assessments.items() if found.decision is not None
    }
    answers = known_answers(dataset, models, estimators, decisions, seed)
    entries: dict[str, dict] = {}
    for model in models:
        entries[model.name] = model_entry(
            model,
            estimators[model.name],
            dataset,
            contents.get(model.name),
            [entries[member] for member in model.members],
            assessments[model.name],
            parities[model.name],
            check_row(answers, model, dataset.classes),
        )
    files = {model.file: contents[model.name] for model in models if model.name in contents}
    files["golden.json"] = golden_json(answers).encode()
    files |= _enrolment(estimators, assessments, dataset, seed)
    files |= figures(assessments, dataset)
    listed = list(entries.values())
    files["README.md"] = model_card(
        dataset, seed, listed, assessments, files, over_the_api
    ).encode()
    files[MANIFEST] = manifest_json(dataset, seed, listed, files).encode()
    publish(files, out)
    print(f"wrote {len(files)} files to {out}")


def _wanted(names: list[str] | None) -> list[Model]:
    if names is None:
        return list(MODELS)
    members = {member for model in MODELS if model.name in names for member in model.members}
    return [model for model in MODELS if model.name in {*names, *members}]


def _enrolment(
    estimators: dict[str, Estimator],
    assessments: dict[str, Assessment],
    dataset: Dataset,
    seed: int,
) -> dict[str, bytes]:
    """What users enrol by, if there are templates, and it could be measured."""
    if "templates" not in assessments or assessments["templates"].enrolment is None:
        return {}
    general = fit_general(dataset.press, dataset.release, dataset.targets)
    found = assessments["templates"].enrolment
    return {
        ENROLMENT: enrolment_json(estimators["templates"], general, found, dataset, seed),
        GALLERY: export_gallery(),
    }


def _assessed(
    models: list[Model],
    estimators: dict[str, Estimator],
    trials: list,
    dataset: Dataset,
    seed: int,
) -> dict[str, Assessment]:
    asked: dict[str, Asked] = defaultdict(list)
    for trial, answers in run(trials, dataset, seed):
        for name, answer in answers.items():
            asked[name].append((trial, answer))
    # In the order they were laid out, whichever finished first.
    order = {id(trial): place for place, trial in enumerate(trials)}
    print("reading off the figures", flush=True)
    found = {}
    for model in models:
        predicted, scores = ask(estimators[model.name], dataset.features[model.features])
        ranks = rank_candidates(predicted, scores, dataset.targets)
        ordered = sorted(asked[model.name], key=lambda pair: order[id(pair[0])])
        found[model.name] = assess(model, ordered, dataset, ranks, seed)
    return found


def _proved(
    model: Model,
    estimators: dict[str, Estimator],
    contents: dict[str, bytes],
    dataset: Dataset,
    seed: int,
) -> tuple[bytes | None, Parity]:
    """The exported estimator, if it has a file, and how it compares.

    Raises ParityError if it differs.
    """
    estimator, rows = estimators[model.name], dataset.features[model.features]
    if model.members:
        files = [contents[member] for member in model.members]
        exported = Exported(files, estimator.weights.tolist())
        return None, compare(exported, estimator, dataset.classes, rows, seed)

    def proved(export: Callable[[Estimator, Classes], bytes]) -> tuple[bytes, Parity]:
        content = export(estimator, dataset.classes)
        return content, compare(content, estimator, dataset.classes, rows, seed)

    try:
        return proved(model.export)
    except ParityError as error:
        if model.exact_export is None or not error.labels_only:
            raise
        print(f"{model.name}: {error}; exporting it exactly", flush=True)
        return proved(model.exact_export)
