"""CMU's layout: what is read from it, and what is refused."""

import numpy as np
import pytest

from keystroke_training.data import DataError, folds, read_dataset
from keystroke_training.synthesis import synthesise

HEADER = "subject,sessionIndex,rep,H.period,DD.period.t,UD.period.t,H.t,DD.t.Shift.r,UD.t.Shift.r,"
HEADER += "H.Shift.r"
GOOD = [
    "s002,1,1,0.1491,0.3979,0.2488,0.1069,0.1674,0.0605,0.0742",
    "s002,1,2,0.1111,0.3451,0.2340,0.0694,0.0283,-0.0411,0.0747",
    "s003,1,1,0.0900,0.2072,0.1172,0.0731,0.1291,0.0560,0.0945",
    "s003,1,2,0.0929,0.1810,0.0881,0.0818,0.1378,0.0560,0.0679",
]


def read(tmp_path, *lines):
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines), "utf-8")
    return read_dataset(path)


def problems_of(tmp_path, *lines) -> list[str]:
    with pytest.raises(DataError) as refusal:
        read(tmp_path, *lines)
    return refusal.value.problems


def test_times_in_seconds_become_press_and_release_times_in_ms(tmp_path):
    dataset = read(tmp_path, HEADER, *GOOD)
    assert dataset.classes == ["s002", "s003"]
    assert dataset.targets.tolist() == [0, 0, 1, 1]
    # To the last bit what the file says: no traces of adding up.
    assert dataset.press[0].tolist() == [0.0, 397.9, 565.3]
    assert dataset.release[0].tolist() == [149.1, 504.8, 639.5]
    assert dataset.press[1, 2] < dataset.release[1, 1], "the keys overlap"


def test_columns_are_found_by_name_and_keys_in_the_order_of_their_holds(tmp_path):
    straight = read(tmp_path, HEADER, *GOOD)
    order = [9, 8, 0, 3, 2, 7, 6, 5, 1, 4]
    holds = sorted(place for place, column in enumerate(order) if column in (3, 6, 9))
    for place, column in zip(holds, (3, 6, 9), strict=True):
        order[place] = column
    shuffled = [",".join(line.split(",")[column] for column in order) for line in (HEADER, *GOOD)]
    other = read(tmp_path, *shuffled)
    np.testing.assert_array_equal(other.press, straight.press)
    np.testing.assert_array_equal(other.release, straight.release)


def test_a_text_may_hold_a_key_and_a_pair_of_keys_twice(tmp_path):
    header = ["subject,sessionIndex,rep", "H.a,DD.a.n,UD.a.n,H.n,DD.n.a,UD.n.a"]
    header += ["H.a,DD.a.n,UD.a.n,H.n"]
    rows = [
        f"{name},1,{rep},0.01,0.1,0.09,0.02,0.2,0.18,0.03,0.3,0.27,0.04"
        for name in "xy"
        for rep in (1, 2)
    ]
    dataset = read(tmp_path, ",".join(header), *rows)
    assert dataset.press[0].tolist() == [0.0, 100.0, 300.0, 600.0]
    assert dataset.release[0].tolist() == [10.0, 120.0, 330.0, 640.0]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (HEADER.replace("rep,", ""), "header: column rep is missing"),
        (HEADER.replace("sessionIndex", "session"), "header: unknown column 'session'"),
        (
            HEADER.replace("DD.period.t", "DD.t.period"),
            "header: column DD.period.t is missing (keys follow each other as their H columns do)",
        ),
        (f"{HEADER},H.", "header: unknown column 'H.'"),
        (f"{HEADER},rep", "header: column rep occurs 2 times, not 1"),
        (f"{HEADER},UD.period.t", "header: column UD.period.t occurs 2 times, not 1"),
        (
            f"{HEADER},H.t",
            "header: column DD.Shift.r.t is missing (keys follow each other as their H columns do)",
        ),
        ("subject,sessionIndex,rep,H.a", "header: 1 keys, at least 2 are needed"),
        ("subject,press-0,release-0", "header: unknown column 'press-0'"),
        ("user,H.a,H.b,DD.a.b,UD.a.b", "header: column subject is missing"),
    ],
)
def test_a_header_that_is_not_of_the_layout_is_refused(tmp_path, header, problem):
    assert problem in problems_of(tmp_path, header, *GOOD)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("s003,2,1,x,0.2,0.1,0.1,0.1,0,0.1", "column H.period: 'x' is not a number"),
        ("s003,2,1,0.1,,0.1,0.1,0.1,0,0.1", "column DD.period.t: empty"),
        ("s003,2,1,0.1,0.2,0.1,0.1,0.1,0,NaN", "column H.Shift.r: 'NaN' is not a finite number"),
        ("s003,2,1,0.1,0.2,0.1,0.1,0.1,0,1e13", "column H.Shift.r: 1e13 is too large"),
        ("s003,2,1,-0.1,0.2,0.3,0.1,0.1,0,0.1", "column H.period: negative hold: -0.1"),
        (
            "s003,2,1,0.1,-0.2,-0.3,0.1,0.1,0,0.1",
            "column DD.period.t: presses out of order: -0.2",
        ),
        (
            "s003,2,1,0.1,0.22,0.1,0.1,0.1,0,0.1",
            "column UD.period.t: 0.1 is not DD.period.t - H.period: 0.22 - 0.1",
        ),
        ("s003,2,1.0,0.1,0.2,0.1,0.1,0.1,0,0.1", "column rep: '1.0' is not a whole number"),
        ("s003,2,-1,0.1,0.2,0.1,0.1,0.1,0,0.1", "column rep: '-1' is not a whole number"),
        ("s003,,1,0.1,0.2,0.1,0.1,0.1,0,0.1", "column sessionIndex: empty"),
        (" s003,2,1,0.1,0.2,0.1,0.1,0.1,0,0.1", "column subject: ' s003' begins or ends with a"),
    ],
)
def test_a_bad_cell_is_named_by_line_row_and_column(tmp_path, row, problem):
    problems = problems_of(tmp_path, HEADER, *GOOD, "", row)
    assert len(problems) == 1
    assert problems[0].startswith(f"line 7 (row 5), {problem}")


def test_all_problems_are_told_not_only_the_first(tmp_path):
    problems = problems_of(tmp_path, HEADER, ",1,x,-1,0.2,1.2,0.1,0.1,0.3,?", *GOOD, "s003,2,1,0.1")
    assert [problem.partition(":")[0] for problem in problems] == [
        "line 2 (row 1), column subject",
        "line 2 (row 1), column rep",
        "line 2 (row 1), column H.Shift.r",
        "line 2 (row 1), column H.period",
        "line 2 (row 1), column UD.t.Shift.r",
        "line 7 (row 6)",
    ]


@pytest.mark.parametrize(
    ("hold", "down_down", "up_down", "accepted"),
    [
        ("0.1000", "0.3000", "0.2001", True),  # each rounded: up to 1.5 units of the last place
        ("0.1000", "0.3000", "0.2002", False),
        ("0.1", "0.3", "0.2001", True),  # the zeros at the end not written
        ("0.1", "0.3", "0.2002", False),
        ("0.1", "0.3", "0.19999999999999998", True),  # the arithmetic's own rounding
        ("0.1", "0.3", "0.20002", False),
        ("0.10", "0.30", "0.21", True),  # a row of two decimals
        ("0.10", "0.30", "0.22", False),
    ],
)
def test_the_times_of_a_pair_fit_together_to_the_decimals_they_are_written_with(
    tmp_path, hold, down_down, up_down, accepted
):
    header = "subject,sessionIndex,rep,H.a,DD.a.b,UD.a.b,H.b"
    rows = [f"x,1,1,{hold},{down_down},{up_down},0.1", "x,1,2,0.1,0.3,0.2,0.1"]
    rows += [row.replace("x", "y") for row in rows]
    if accepted:
        assert len(read(tmp_path, header, *rows).press) == 4
    else:
        problems = problems_of(tmp_path, header, *rows)
        reason = f"{up_down} is not DD.a.b - H.a: {down_down} - {hold}"
        assert problems[0] == f"line 2 (row 1), column UD.a.b: {reason}"


def test_a_typing_that_is_there_twice_is_refused(tmp_path):
    assert problems_of(tmp_path, HEADER, *GOOD, GOOD[0]) == [
        "line 6 (row 5), column rep: session 1, rep 1 of 's002' is on line 2 (row 1) too"
    ]


def test_typings_out_of_the_order_they_were_typed_in_are_refused(tmp_path):
    later = GOOD[1].replace("s002,1,2", "s002,2,7")
    assert problems_of(tmp_path, HEADER, GOOD[0], later, GOOD[1], *GOOD[2:]) == [
        "line 4 (row 3), column rep: session 1, rep 2 of 's002' after its session 2, rep 7"
    ]


def test_subjects_may_take_turns(tmp_path):
    dataset = read(tmp_path, HEADER, GOOD[0], GOOD[2], GOOD[1], GOOD[3])
    assert dataset.repetitions.tolist() == [0, 0, 1, 1]


def test_a_subject_with_one_row_cannot_be_evaluated(tmp_path):
    assert problems_of(tmp_path, HEADER, *GOOD[:3]) == [
        "line 4 (row 3), column subject: 's003' has only this row, at least 2 are needed"
    ]


def test_sessions_are_read_and_held_out(tmp_path):
    path = tmp_path / "cmu.csv"
    path.write_text(synthesise(3, 4, 5, seed=1, sessions=8, layout="cmu"), "utf-8")
    dataset = read_dataset(path)
    assert dataset.press.shape == (96, 5)
    assert dataset.sessions.tolist() == [session for session in range(1, 9) for _ in range(4)] * 3
    assert folds(dataset).tolist() == (dataset.sessions - 1).tolist()
