"""The files a training run leaves: the manifest that lists them, and how they get in place."""

import json
import os
import platform
import re
import tempfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from keystroke_training.assessment import Assessment, hides_scores
from keystroke_training.data import Dataset
from keystroke_training.enrolment import FILE as ENROLMENT
from keystroke_training.export.gallery import FILE as GALLERY
from keystroke_training.export.graph import INPUT, LABEL, SCORES
from keystroke_training.features import FEATURE_ORDER, timing_names, timing_series
from keystroke_training.models import Estimator, Model
from keystroke_training.parity import Parity

FORMAT = 2
MANIFEST = "manifest.json"

_RECORDED_PACKAGES = ("numpy", "scikit-learn", "xgboost-cpu", "onnx", "onnxruntime")


def model_entry(
    model: Model,
    estimator: Estimator,
    dataset: Dataset,
    content: bytes | None,
    members: list[dict],
    assessment: Assessment,
    parity: Parity,
    check: dict,
) -> dict:
    """Return what the manifest says about one model: `content` is its file, or, where it has
    none, `members` are the entries of the models that it is made of.
    """
    decision = {} if assessment.decision is None else {"decision": assessment.decision}
    if content is None:
        weights = estimator.weights.tolist()
        parts = [
            {"model": member["name"], "weight": weight}
            for member, weight in zip(members, weights, strict=True)
        ]
        made_of = {"members": parts}
        pinned = [[member["version"] for member in members], parts, decision]
    else:
        made_of = {"file": model.file, **_tensors(dataset, len(dataset.features[model.features].T))}
        pinned = [sha256(content).hexdigest(), decision]
    return {
        "name": model.name,
        "title": model.title,
        "version": sha256(json.dumps(pinned).encode()).hexdigest()[:12],
        "features": model.features,
        **made_of,
        "parameters": model.parameters(estimator),
        "scores": model.scores,
        "ties": model.ties,
        "hideScores": hides_scores(assessment.evaluation),
        "evaluation": assessment.evaluation,
        **decision,
        "parity": parity.to_json(),
        "check": check,
    }


def _tensors(dataset: Dataset, width: int) -> dict:
    label_type = "int64" if isinstance(dataset.classes[0], int) else "string"
    return {
        "input": {"name": INPUT, "type": "float32", "shape": [-1, width]},
        "outputs": [
            {"name": LABEL, "type": label_type, "shape": [-1]},
            {"name": SCORES, "type": "float32", "shape": [-1, len(dataset.classes)]},
        ],
    }


def manifest_json(dataset: Dataset, seed: int, models: list[dict], files: dict[str, bytes]) -> str:
    """Return the text of manifest.json, which the service checks all files against.

    `models` are entries of `model_entry`; `files` the content of all other files by path.
    """
    repetitions = dataset.repetition_counts
    manifest = {
        "format": FORMAT,
        "keys": dataset.press.shape[1],
        "classes": dataset.classes,
        "features": {
            "unit": "ms",
            "std": "population",
            "summary": list(FEATURE_ORDER),
            "timings": timing_names(dataset.press.shape[1]),
        },
        "ranges": {
            name: [float(times.min()), float(times.max())]
            for name, times in timing_series(dataset.press, dataset.release).items()
        },
        "data": {
            "sha256": dataset.sha256,
            "rows": len(dataset.targets),
            "users": len(dataset.classes),
            "repetitions": {"min": min(repetitions), "max": max(repetitions)},
        },
        "seed": seed,
        "trainedWith": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            **{name.removesuffix("-cpu"): version(name) for name in _RECORDED_PACKAGES},
        },
        "models": models,
        **_enrolment(files),
        "files": {
            path: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
            for path, content in sorted(files.items())
        },
    }
    return _join_arrays(json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def _enrolment(files: dict[str, bytes]) -> dict:
    if ENROLMENT not in files:
        return {}
    enrolment = json.loads(files[ENROLMENT])
    return {"enrolment": {"file": ENROLMENT, "graph": GALLERY, "version": enrolment["version"]}}


def publish(files: dict[str, bytes], out: Path) -> None:
    """Put `files`, by path relative to `out`, in place of an earlier run's.

    All is written to a sibling folder first, then moved file by file with the manifest last.
    Files that the earlier manifest lists and this one does not are removed; files that no
    manifest lists are left alone.
    """
    out.mkdir(parents=True, exist_ok=True)
    stale = _listed_files(out) - files.keys()
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        staging = Path(folder)
        for path, content in files.items():
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
            (staging / path).write_bytes(content)
        for path in sorted(files, key=lambda path: (path == MANIFEST, path)):
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / path, out / path)
    for path in stale:
        (out / path).unlink(missing_ok=True)


def _listed_files(out: Path) -> set[str]:
    """Paths that the manifest in `out` lists and that lie below `out`; none without one."""
    try:
        listed = json.loads((out / MANIFEST).read_text("utf-8"))["files"]
        return {path for path in listed if (out / path).resolve().is_relative_to(out.resolve())}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()


def _join_arrays(text: str) -> str:
    """Put JSON arrays of plain values on one line; 1,000 classes are not 1,000 lines."""
    return re.sub(r"\[\s+([^][{}]+?)\s+\]", lambda array: f"[{_join_lines(array[1])}]", text)


def _join_lines(text: str) -> str:
    return re.sub(r"\n\s+", " ", text)
