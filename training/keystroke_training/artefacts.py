"""The files a training run leaves: the manifest that lists them, and how they get in place."""

import json
import os
import platform
import re
import tempfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from keystroke_training.data import Dataset
from keystroke_training.export.graph import INPUT, LABEL, SCORES
from keystroke_training.features import FEATURE_ORDER
from keystroke_training.models import Estimator, Reference
from keystroke_training.parity import Parity

FORMAT = 1
MANIFEST = "manifest.json"

_RECORDED_PACKAGES = ("numpy", "scikit-learn", "xgboost-cpu", "onnx", "onnxruntime")


def model_entry(
    reference: Reference,
    estimator: Estimator,
    dataset: Dataset,
    model: bytes,
    evaluation: dict,
    parity: Parity,
    check: dict,
) -> dict:
    """Return what the manifest says about one model."""
    classes = len(dataset.classes)
    label_type = "int64" if isinstance(dataset.classes[0], int) else "string"
    return {
        "name": reference.name,
        "title": reference.title,
        "version": sha256(model).hexdigest()[:12],
        "file": reference.file,
        "input": {"name": INPUT, "type": "float32", "shape": [-1, len(FEATURE_ORDER)]},
        "outputs": [
            {"name": LABEL, "type": label_type, "shape": [-1]},
            {"name": SCORES, "type": "float32", "shape": [-1, classes]},
        ],
        "parameters": {
            "estimator": type(estimator).__name__,
            **{
                name: estimator.get_params()[name]
                for name in reference.parameters(dataset.rows, seed=0)
            },
        },
        "scores": reference.scores,
        "ties": reference.ties,
        "evaluation": evaluation,
        "parity": parity.to_json(),
        "check": check,
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
        "features": {"order": list(FEATURE_ORDER), "unit": "ms", "std": "population"},
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
        "files": {
            path: {"bytes": len(content), "sha256": sha256(content).hexdigest()}
            for path, content in sorted(files.items())
        },
    }
    return _join_arrays(json.dumps(manifest, indent=2, ensure_ascii=False)) + "\n"


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
