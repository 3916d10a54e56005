"""The original exercise's service: Flask and pickled estimators.

FOLDER=… python flask_original.py PORT     as the original: each request loads its estimator anew
FOLDER=… KEEP=1 gunicorn flask_original:make_app()     with the estimators kept in memory

FOLDER is what make_models.py wrote.
"""

import functools
import logging
import os
import pickle
import sys
from pathlib import Path

from flask import Flask, request

FEATURES = [(time, value) for time in ("HT", "PPT", "RRT", "RPT") for value in ("Mean", "STD")]
FILES = {"SVM": "svm.pkl", "RF": "rf.pkl", "XGB": "xgb.pkl"}


def make_app() -> Flask:
    """Make the application, as the environment says."""
    folder = Path(os.environ["FOLDER"])

    def load(file: str) -> tuple:
        with (folder / file).open("rb") as stream:
            return pickle.load(stream)  # noqa: S301 (what the original does)

    if os.environ.get("KEEP") == "1":
        load = functools.cache(load)
    # Also where nothing is kept: the first of a kind imports the library that it needs.
    for file in FILES.values():
        load(file)

    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> dict | tuple[str, int]:
        body = request.get_json()
        if body["Model"] not in FILES:
            return "Error: Invalid model type", 400
        estimator, users = load(FILES[body["Model"]])
        (target,) = estimator.predict([[body[time][value] for time, value in FEATURES]])
        return {"prediction": users[target]}

    return app


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make_app().run(port=int(sys.argv[1]))
