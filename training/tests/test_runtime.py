"""ONNX Runtime as the trainer runs it."""

import os
import subprocess
import sys


def test_it_reports_to_nobody_and_leaves_nothing_in_the_home_of_its_user(tmp_path):
    # Its makers have it silent where tests run, which it tells by variables such as CI.
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    code = "from keystroke_training.runtime import onnxruntime as o; print(o.get_device())"
    subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=True)  # noqa: S603 (our own code)
    assert list(tmp_path.iterdir()) == []
