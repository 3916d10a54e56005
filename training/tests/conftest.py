"""Fixtures shared by the tests: made-up typings, and the real ones where they are at hand."""

import os
from pathlib import Path

import pytest

from keystroke_training.data import Dataset, read_dataset
from tests.typings import made_up_csv


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


@pytest.fixture
def make_dataset(tmp_path):
    """A function that makes up typings and reads them back."""

    def make(**options) -> Dataset:
        path = tmp_path / "typings.csv"
        path.write_text(made_up_csv(**options), "utf-8")
        return read_dataset(path)

    return make
