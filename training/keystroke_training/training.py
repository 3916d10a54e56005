"""One training run, from a dataset to published artefacts."""

from collections.abc import Callable
from pathlib import Path

from keystroke_training.artefacts import MANIFEST, manifest_json, model_entry, publish
from keystroke_training.card import model_card
from keystroke_training.data import Dataset
from keystroke_training.evaluate import evaluate
from keystroke_training.export.graph import Classes
from keystroke_training.figures import cmc_figure, confusion_figure
from keystroke_training.golden import check_row, golden_json, known_answers
from keystroke_training.models import REFERENCES, Estimator, Reference
from keystroke_training.parity import Parity, ParityError, compare


def train(dataset: Dataset, out: Path, seed: int) -> None:
    """Fit the reference models on all rows, export, prove and measure them, and publish the
    artefacts in `out`.

    Raises ParityError, and leaves `out` as it was, if an export differs from its source.
    """
    files, parities, estimators = {}, {}, {}
    for reference in REFERENCES:
        print(f"{reference.name}: fitting, exporting, comparing", flush=True)
        estimator = reference.fit(dataset.rows, dataset.targets, seed)
        model, parity = _proved(reference, estimator, dataset, seed)
        parities[reference.name] = parity
        estimators[reference.name] = estimator
        files[reference.file] = model
    evaluations = evaluate(dataset, estimators, seed)
    answers = known_answers(dataset, estimators, seed)
    entries = [
        model_entry(
            reference,
            estimators[reference.name],
            dataset,
            files[reference.file],
            evaluations[reference.name].to_json(seed),
            parities[reference.name],
            check_row(answers, reference.name, dataset.classes),
        )
        for reference in REFERENCES
    ]
    files["golden.json"] = golden_json(answers).encode()
    files["figures/cmc.svg"] = cmc_figure(evaluations, dataset)
    files["figures/confusion.svg"] = confusion_figure(evaluations, dataset)
    files["README.md"] = model_card(dataset, seed, entries, files).encode()
    files[MANIFEST] = manifest_json(dataset, seed, entries, files).encode()
    publish(files, out)
    print(f"wrote {len(files)} files to {out}")


def _proved(
    reference: Reference, estimator: Estimator, dataset: Dataset, seed: int
) -> tuple[bytes, Parity]:
    """The exported estimator and how it compares; a ParityError if it differs."""

    def proved(export: Callable[[Estimator, Classes], bytes]) -> tuple[bytes, Parity]:
        model = export(estimator, dataset.classes)
        return model, compare(model, estimator, dataset.classes, dataset.rows, seed)

    try:
        return proved(reference.export)
    except ParityError as error:
        if reference.exact_export is None or not error.labels_only:
            raise
        print(f"{reference.name}: {error}; exporting it exactly", flush=True)
        return proved(reference.exact_export)
