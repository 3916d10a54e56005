"""Typings as coarse clocks and unsteady networks would have given them."""

import numpy as np
import pytest

from keystroke_training.disturbances import DISTURBANCES

ALL = [*DISTURBANCES]
JITTERS = [name for name in ALL if name.startswith("jitter")]
CLOCKS = [name for name in ALL if name.startswith("clock")]


@pytest.fixture
def dataset(make_dataset):
    return make_dataset(repetitions=[20, 30, 10], keys=9)


def test_there_are_noises_and_clocks_of_several_sizes():
    assert [f"jitter {size} ms" for size in (2, 4, 8, 16)] == JITTERS
    assert [f"clock {size} ms" for size in (1, 8, 16, 32)] == CLOCKS


@pytest.mark.parametrize("name", ALL)
def test_it_is_the_rows_that_were_asked_for_in_their_order(dataset, name):
    rows = np.array([3, 50, 20])
    changed = DISTURBANCES[name](dataset, rows)
    assert changed.targets.tolist() == dataset.targets[rows].tolist()
    assert changed.sessions.tolist() == dataset.sessions[rows].tolist()
    assert np.abs(changed.press - dataset.press[rows]).max() < 100
    assert changed.features["timings"].shape == (3, 6 * 9 - 2)
    assert (changed.classes, changed.sha256) == (dataset.classes, dataset.sha256)


@pytest.mark.parametrize("name", ALL)
def test_a_row_is_disturbed_the_same_whatever_the_others(dataset, name):
    together, alone = (
        DISTURBANCES[name](dataset, rows) for rows in (np.arange(60), np.array([41]))
    )
    assert np.array_equal(together.press[41], alone.press[0])
    assert np.array_equal(together.release[41], alone.release[0])


@pytest.mark.parametrize("name", ALL)
def test_keys_stay_in_order_and_are_let_go_after_they_are_pressed(dataset, name):
    close = np.arange(60)
    crowded = DISTURBANCES[name](dataset, close)
    assert (np.diff(crowded.press, axis=1) >= 0).all()
    assert (crowded.release >= crowded.press).all()


@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_knows_multiples_of_its_tick_only_and_none_is_late(dataset, name):
    tick = int(name.split()[1])
    changed = DISTURBANCES[name](dataset, np.arange(60))
    for before, after in ((dataset.press, changed.press), (dataset.release, changed.release)):
        assert not (after % tick).any()
        assert ((before - after >= 0) & (before - after < tick)).all()


@pytest.mark.parametrize("name", JITTERS)
def test_noise_has_its_deviation(dataset, name):
    # Presses an hour apart are never put off for the one in front.
    spread = dataset.press + 3_600_000 * np.arange(9)
    apart = type(dataset)(
        **{
            field: getattr(dataset, field) for field in ("classes", "targets", "sessions", "sha256")
        },
        press=spread,
        release=spread + 3000,
    )
    changed = DISTURBANCES[name](apart, np.arange(60))
    for noise in (changed.press - spread, changed.release - spread - 3000):
        assert noise.std() == pytest.approx(int(name.split()[1]), rel=0.1)
        assert abs(noise.mean()) < 0.2 * noise.std()
