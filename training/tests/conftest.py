"""Fixtures shared by the tests: made-up typings, and the real ones where they are at hand."""

import os
from pathlib import Path

import pytest

from keystroke_training import evaluate, parity, training, trees
from keystroke_training.__main__ import REPOSITORY, main
from keystroke_training.data import Dataset, read_dataset
from tests.typings import made_up_csv

TYPISTS = REPOSITORY / "test" / "fixtures" / "typists"


@pytest.fixture(scope="session")
def real_data_path():
    """The public data set, which is not in the repository."""
    path = os.environ.get("KEYSTROKE_DATA")
    if not path:
        reason = "KEYSTROKE_DATA does not say where the real data is"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Path(path)


@pytest.fixture(scope="session")
def real_dataset(real_data_path) -> Dataset:
    return read_dataset(real_data_path)


@pytest.fixture(scope="session")
def make_dataset(tmp_path_factory):
    """A function that makes up typings and reads them back."""

    def make(**options) -> Dataset:
        path = tmp_path_factory.mktemp("typings") / "typings.csv"
        path.write_text(made_up_csv(**options), "utf-8")
        return read_dataset(path)

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The folder of one whole run, and its data file: the made-up typists of the service's tests,
    three users of 5, 6 and 7 typings with string ids.
    """
    models = tmp_path_factory.mktemp("run") / "models"
    data = TYPISTS / "keystrokes.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONWARNINGS", "error")  # in the workers too
        assert main([str(data), "--out", str(models)]) == 0
    return models, data


@pytest.fixture
def quick(monkeypatch):
    """Runs with few trees and few comparisons, all in this process, where warnings are failures."""

    def run_here(trials, dataset, seed):
        evaluate._receive(dataset, seed)
        for trial in trials:
            yield trial, evaluate._run_trial(trial)

    monkeypatch.setattr(trees, "TREES", 5)
    monkeypatch.setattr(parity, "PERTURBED", 500)
    monkeypatch.setattr(training, "run", run_here)
    monkeypatch.setattr(evaluate, "_shared", None, raising=False)
