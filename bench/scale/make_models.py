"""Makes models of many users for the scale benchmark, through the trainer's exporters.

    make_models.py FOLDER USERS MODEL

writes FOLDER/MODEL-USERS.onnx, and FOLDER/MODEL-USERS.json that says how it was made. What cannot
be fitted in minutes is built: a stand-in has the attributes that the exporter reads, with as many
trees as a fit has, of the same size and depth.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import xgboost
from keystroke_training.features import features
from keystroke_training.models import REFERENCES, Model
from onnx import helper
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

KEYS = 13
TYPINGS = 8  # of each user
PROBES = 1000  # rows to ask the models about, typed by the same users
SEED = 20

TREES = 100  # of a forest, and rounds of boosting
# A node of scikit-learn's trees has a float64 for every user: more users than these are fitted
# tree by tree, and more than those not at all.
FOREST_USERS = 300
TREE_USERS = 2000
# Distinct trees of a built forest; the others are copies that are displaced a little.
GROWN_TREES = 25
CODE_LENGTH = 32
COLUMNS = 16  # that stand for all the users on the way through the exporter

# XGBoost's time grows with the square of the users, and with users × sampled users.
BOOSTED_USERS = 200
SAMPLED_TIMES_USERS = 50_000
LEAST_SAMPLED = 10
LARGEST_FILE = 2**31 - 1  # a protocol buffer has no more bytes, and so has no ONNX file

REFERENCE = {reference.name: reference for reference in REFERENCES}


def main(folder: Path, users: int, model: str) -> None:
    """Make one model, or say why there is none."""
    began = time.monotonic()
    content, how = {"svm": _svm, "rf": _forest, "xgb": _boosted}[model](folder, users)
    about = {"how": how, "made": content is not None, "seconds": round(time.monotonic() - began, 1)}
    if content is not None:
        (folder / f"{model}-{users}.onnx").write_bytes(content)
    (folder / f"{model}-{users}.json").write_text(json.dumps(about))
    probes = folder / f"rows-{users}.f32"
    if not probes.exists():
        repeated = -(-PROBES // users)
        rows, targets = _typings(users, repeated, seed=SEED + 1)
        order = np.random.default_rng(SEED).permutation(len(targets))[:PROBES]
        probes.write_bytes(rows[order].astype("<f4").tobytes())


def _typings(users: int, repetitions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Feature rows of made-up typings, and who typed them.

    Every user has a median hold and flight time (press to next press) and a spread of each, all
    lognormal, as the times around them are. The same users whatever the seed.
    """
    rhythm = np.random.default_rng(SEED)
    medians = np.exp(rhythm.normal(np.log([95, 180]), [0.25, 0.3], (users, 2)))
    spreads = np.exp(rhythm.normal(np.log([0.2, 0.35]), 0.3, (users, 2)))
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(users), repetitions)
    noise = random.standard_normal((len(targets), KEYS, 2))
    times = medians[targets, np.newaxis] * np.exp(spreads[targets, np.newaxis] * noise)
    hold, flight = np.moveaxis(times, 2, 0).round(1)
    press = np.cumsum(flight, axis=1) - flight[:, :1]
    return features(press, press + hold), targets


def _fitted(reference: Model, users: int) -> bytes:
    rows, targets = _typings(users, TYPINGS, SEED)
    estimator = reference.fit(rows, targets, SEED, KEYS)
    return reference.export(estimator, _classes(users))


def _classes(users: int) -> list[int]:
    return list(range(1, users + 1))


def _svm(folder: Path, users: int) -> tuple[bytes | None, str]:
    """Fitted, unless the file would be too large by what smaller ones are."""
    smaller = [int(path.stem.split("-")[1]) for path in folder.glob("svm-*.onnx")]
    if known := max((count for count in smaller if count < users), default=0):
        size = (folder / f"svm-{known}.onnx").stat().st_size * (users / known) ** 2
        if size > LARGEST_FILE:
            weights = 8 * TYPINGS * users * (users - 1)
            return None, (
                f"{size / 1e9:.1f} GB by the size at {known:,} users, of the 2.1 GB that an ONNX "
                f"file can have; scikit-learn would hold {weights / 1e9:.1f} GB of weights"
            )
    return _fitted(REFERENCE["svm"], users), "fitted"


def _forest(_: Path, users: int) -> tuple[bytes, str]:
    reference = REFERENCE["rf"]
    if users <= FOREST_USERS:
        return _fitted(reference, users), "fitted"
    fits = users <= TREE_USERS
    trees = _fitted_trees(users) if fits else _built_trees(users)
    estimator = SimpleNamespace(
        estimators_=[_narrow_member(tree, leaf_users) for tree, leaf_users in trees],
        n_estimators=TREES,
        classes_=np.arange(users),
    )
    content = _with_all_users(reference.export(estimator, _classes(users)), users)
    if fits:
        return content, "fitted tree by tree; which user a leaf names is drawn anew"
    return content, (
        f"built: {GROWN_TREES} trees grown by the spread of a random code of every user, "
        f"{CODE_LENGTH} signs, in place of Gini's; the others are displaced copies"
    )


def _bootstrap(random: np.random.Generator, rows: int) -> np.ndarray:
    """How often each row is drawn."""
    return np.bincount(random.integers(rows, size=rows), minlength=rows).astype(np.float64)


def _fitted_trees(users: int) -> Iterator[tuple[SimpleNamespace, np.ndarray]]:
    """The trees of a random forest with the user of each leaf, one at a time."""
    rows, targets = _typings(users, TYPINGS, SEED)
    for seed in range(TREES):
        weights = _bootstrap(np.random.default_rng(seed), len(rows))
        member = DecisionTreeClassifier(max_features="sqrt", random_state=seed)
        tree = member.fit(rows, targets, sample_weight=weights).tree_
        yield _copied(tree), tree.value[:, 0, :].argmax(axis=1)


def _built_trees(users: int) -> Iterator[tuple[SimpleNamespace, np.ndarray]]:
    """Trees as `_fitted_trees` would give them.

    The spread of random codes is, but for noise, the Gini impurity, and zero where that is; a
    node needs a number for every sign instead of every user.
    """
    rows, targets = _typings(users, TYPINGS, SEED)
    random = np.random.default_rng(SEED)
    codes = random.choice([-1.0, 1.0], size=(users, CODE_LENGTH))
    for seed in range(GROWN_TREES):
        weights = _bootstrap(random, len(rows))
        member = DecisionTreeRegressor(max_features="sqrt", random_state=seed)
        drawn = weights > 0
        member.fit(rows[drawn], codes[targets[drawn]], sample_weight=weights[drawn])
        leaf_users = np.zeros(member.tree_.node_count, np.int64)
        leaf_users[member.apply(rows[drawn])] = targets[drawn]
        for copy in range(TREES // GROWN_TREES):
            tree = _copied(member.tree_)
            tree.threshold = tree.threshold * (1 + 0.01 * copy)
            yield tree, (leaf_users + copy * users // 7) % users


def _copied(tree: object) -> SimpleNamespace:
    """The structure of a tree; its own arrays keep the values of all users alive."""
    names = ("children_left", "children_right", "feature", "threshold", "n_node_samples")
    arrays = {name: np.array(getattr(tree, name)) for name in names}
    return SimpleNamespace(node_count=tree.node_count, **arrays)


def _narrow_member(tree: SimpleNamespace, leaf_users: np.ndarray) -> SimpleNamespace:
    """A fitted tree for the exporter, in which several users share a column."""
    tree.value = np.zeros((tree.node_count, 1, COLUMNS))
    tree.value[np.arange(tree.node_count), 0, leaf_users % COLUMNS] = 1.0
    return SimpleNamespace(tree_=tree, classes_=np.arange(COLUMNS))


def _with_all_users(content: bytes, users: int) -> bytes:
    """The file with each leaf of a column given to one of the users who share it."""
    model = onnx.load_from_string(content)
    random = np.random.default_rng(SEED)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name not in ("leaf_targetids", "target_ids", "class_ids"):
                continue
            columns = np.array(attribute.ints)
            shared = -(-(users - columns) // COLUMNS)
            spread = columns + COLUMNS * random.integers(shared)
            attribute.CopyFrom(helper.make_attribute(attribute.name, spread.tolist()))
            return model.SerializeToString(deterministic=True)
    raise SystemExit("make_models.py does not know where the exported forest has its classes")


def _boosted(_: Path, users: int) -> tuple[bytes, str]:
    reference = REFERENCE["xgb"]
    if users <= BOOSTED_USERS:
        return _fitted(reference, users), "fitted"
    sampled = max(LEAST_SAMPLED, SAMPLED_TIMES_USERS // users)
    content = _for_all(_boosted_sample(users, sampled), users)
    estimator = SimpleNamespace(
        get_booster=lambda: SimpleNamespace(save_raw=lambda *_, **__: content),
        n_estimators=TREES,
        classes_=np.arange(users),
    )
    return reference.export(estimator, _classes(users)), (
        f"built: the trees of {sampled} users, fitted against the typings of all, stand displaced "
        "for those of the others"
    )


def _boosted_sample(users: int, sampled: int) -> dict:
    """XGBoost's JSON of the trees that some of the users would have in a fit of all.

    Softmax needs the margins of all users for each row. Of the users who are not there, margins
    are the mean of those who are; of their rows, the sum is that of some row of those who are.
    With all users sampled it is the fit of the reference, tree by tree; with 25 of 250 the file
    is 8 % larger, with 50 of 1,000 it is 4 % smaller than of the fit.
    """
    rows, targets = _typings(users, TYPINGS, SEED)
    random = np.random.default_rng(SEED)
    column = np.full(users, -1)
    column[random.permutation(users)[:sampled]] = np.arange(sampled)
    columns = column[targets]
    own = (np.flatnonzero(columns >= 0), columns[columns >= 0])
    proxies = random.integers(len(own[0]), size=len(rows))  # places in `own`
    proxies[own[0]] = np.arange(len(own[0]))
    is_own = np.zeros((len(rows), sampled), np.float32)
    is_own[own] = 1

    def gradients(margins: np.ndarray, _: xgboost.DMatrix) -> tuple[np.ndarray, np.ndarray]:
        powers = np.exp(margins.reshape(is_own.shape))
        others = (powers * (1 - is_own))[own[0]].sum(axis=1) / (sampled - 1)
        sums = (powers[own] + (users - 1) * others)[proxies]
        shares = powers / sums[:, np.newaxis]
        return shares - is_own, np.maximum(2 * shares * (1 - shares), 1e-16)

    reference = REFERENCE["xgb"]
    parameters = reference.parameters(reference.make(rows, SEED, KEYS))
    del parameters["estimator"]
    rounds = parameters.pop("n_estimators")
    parameters |= {"num_class": sampled, "disable_default_eval_metric": 1}
    booster = xgboost.train(parameters, xgboost.DMatrix(rows), rounds, obj=gradients)
    dumped = json.loads(booster.save_raw("json"))
    dumped["learner"]["objective"]["name"] = "multi:softprob"
    return dumped


def _for_all(dumped: dict, users: int) -> bytes:
    """A booster as XGBoost writes it, in which every user has the trees of one of those who are
    in `dumped`, with thresholds moved by a factor for each user and feature.
    """
    model = dumped["learner"]["gradient_booster"]["model"]
    parameters = dumped["learner"]["learner_model_param"]
    sampled = int(parameters["num_class"])
    factors = np.exp(np.random.default_rng(SEED).normal(0, 0.1, (users, 8)))
    names = ("split_indices", "left_children", "right_children")
    trees = []
    for start in range(0, len(model["trees"]), sampled):  # of each round
        for tree in model["trees"][start : start + sampled]:
            tree["conditions"] = np.array(tree["split_conditions"])
            tree["inner"] = np.array(tree["left_children"]) >= 0
        for user in range(users):
            tree = model["trees"][start + user % sampled]
            moved = np.where(tree["inner"], factors[user][tree["split_indices"]], 1)
            conditions = (tree["conditions"] * moved).astype(np.float32).tolist()
            trees.append({name: tree[name] for name in names} | {"split_conditions": conditions})
    model["trees"] = trees
    model["tree_info"] = list(range(users)) * (len(trees) // users)
    parameters["num_class"] = str(users)
    return json.dumps(dumped).encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
