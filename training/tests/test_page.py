"""The blocks of docs/training.md, typed as a reader does."""

import re
import subprocess
from pathlib import Path

import pytest

from keystroke_training.__main__ import REPOSITORY
from keystroke_training.data import read_dataset
from keystroke_training.synthesis import synthesise

PAGE = (REPOSITORY / "docs" / "training.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path):
    """A folder that is the repository as far as the commands can tell, and is not written to."""
    for name in ("package.json", "training"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return tmp_path


def type_in(folder: Path, block: str) -> str:
    """What a block prints."""
    shell = ["bash", "-euc", block]
    return subprocess.run(shell, cwd=folder, check=True, capture_output=True, text=True).stdout  # noqa: S603 (the page is ours)


def test_the_commands_of_the_page_train_and_measure(folder):
    # In the place of CMU's file, which is not here.
    made_up = synthesise(users=4, repetitions=8, keys=4, seed=1, layout="cmu")
    (folder / "DSL-StrongPasswordData.csv").write_text(made_up, "utf-8")
    typed = [block for block in blocks("sh") if block.startswith("npm run train")]
    assert len(typed) == 3
    printed = [type_in(folder, block) for block in typed]
    assert "wrote typings.csv" in printed[0]
    assert len(read_dataset(folder / "typings.csv").targets) == 30
    assert {path.name for path in (folder / "my-models").iterdir()} >= {
        *("manifest.json", "README.md", "templates.onnx"),
    }
    assert "2009" in printed[2]


def test_the_file_of_the_page_can_be_read(tmp_path):
    (block,) = blocks("csv")
    path = tmp_path / "typings.csv"
    path.write_text(block, "utf-8")
    dataset = read_dataset(path)
    assert dataset.classes == ["ann", "bob"]
