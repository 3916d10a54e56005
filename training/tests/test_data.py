"""What can be trained on, and what is refused, by line and column."""

import numpy as np
import pytest

from keystroke_training.data import DataError, folds, read_dataset
from keystroke_training.synthesis import synthesise

HEADER = "user,press-0,release-0,press-1,release-1"
GOOD = ["1,0,90,100,180", "1,0,80,110,200", "2,0,70,90,150", "2,0,75,95,160"]


def problems_of(tmp_path, content) -> list[str]:
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as refusal:
        read_dataset(path)
    return refusal.value.problems


def read(tmp_path, *lines):
    path = tmp_path / "data.csv"
    path.write_text("\n".join(lines), "utf-8")
    return read_dataset(path)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("2,0,x,90,150", "column release-0: 'x' is not a number"),
        ("2,0,0x10,90,150", "column release-0: '0x10' is not a number"),
        ("2,0,1_0,90,150", "column release-0: '1_0' is not a number"),
        ("2,0,٧٠,90,150", "column release-0: '٧٠' is not a number"),
        (" 2,0,70,90,150", "column user: ' 2' begins or ends with a blank"),
        ("2,0,,90,150", "column release-0: empty"),
        ("2,0,NaN,90,150", "column release-0: 'NaN' is not a finite number"),
        ("2,0,-Infinity,90,150", "column release-0: '-Infinity' is not a finite number"),
        ("2,0,1e999,90,150", "column release-0: 1e999 is too large"),
        ("2,0,70,90,9007199254740992", "column release-1: 9007199254740992 is too large"),
        ("2,0,70,90,89", "column release-1: negative hold: released at 89, pressed at 90"),
        ("2,100,170,90,150", "column press-1: presses out of order: 90 after 100"),
        (" ,0,70,90,150", "column user: empty user id"),
    ],
)
def test_a_bad_cell_is_named_by_line_row_and_column(tmp_path, row, problem):
    content = "\n".join([HEADER, *GOOD, row])
    assert problems_of(tmp_path, content) == [f"line 6 (row 5), {problem}"]


@pytest.mark.parametrize(("row", "cells"), [("2,0,70,90", 4), ("2,0,70,90,150,", 6)])
def test_a_ragged_row_is_refused(tmp_path, row, cells):
    content = "\n".join([HEADER, *GOOD, row])
    assert problems_of(tmp_path, content) == [f"line 6 (row 5): {cells} cells, the header has 5"]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("user,press-0,release-0,press-1", "header: column release-1 is missing"),
        ("press-0,release-0,press-1,release-1", "header: column user is missing"),
        (f"{HEADER},age", "header: unknown column 'age'"),
        (f"{HEADER},press-01", "header: unknown column 'press-01'"),
        (f"{HEADER},press-1", "header: column press-1 occurs 2 times"),
        ("user,press-0,release-0", "header: 1 keys, at least 2 are needed"),
        (f"session,{HEADER},session", "header: column session occurs 2 times"),
    ],
)
def test_a_header_with_other_columns_is_refused(tmp_path, header, problem):
    assert problem in problems_of(tmp_path, "\n".join([header, *GOOD]))


def test_all_problems_are_told_not_only_the_first(tmp_path):
    content = "\n".join([HEADER, "1,0,x,100,y", *GOOD, "2,0"])
    assert [problem.partition(":")[0] for problem in problems_of(tmp_path, content)] == [
        "line 2 (row 1), column release-0",
        "line 2 (row 1), column release-1",
        "line 7 (row 6)",
    ]


def test_line_and_row_differ_after_a_blank_line(tmp_path):
    content = "\n".join([HEADER, *GOOD, "", "2,0,x,90,150"])
    assert problems_of(tmp_path, content)[0].startswith("line 7 (row 5), ")


def test_a_user_with_one_row_cannot_be_evaluated(tmp_path):
    content = "\n".join([HEADER, *GOOD, "3,0,70,90,150"])
    assert problems_of(tmp_path, content) == [
        "line 6 (row 5), column user: '3' has only this row, at least 2 are needed"
    ]


def test_one_user_is_not_enough(tmp_path):
    content = "\n".join([HEADER, *GOOD[:2]])
    assert problems_of(tmp_path, content) == ["1 users, at least 2 are needed"]


def test_a_header_alone_is_refused(tmp_path):
    assert problems_of(tmp_path, HEADER) == ["0 users, at least 2 are needed"]


@pytest.mark.parametrize("content", ["", "\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    assert problems_of(tmp_path, content) == ["the file is empty"]


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    content = f"{HEADER}\n{GOOD[0]}\nJos".encode() + b"\xe9,0,1,2,3"
    assert problems_of(tmp_path, content) == ["line 3: not UTF-8"]


def test_a_file_with_an_open_quote_is_refused(tmp_path):
    assert "not CSV" in problems_of(tmp_path, f'{HEADER}\n"1,0,90,100,180')[0]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_dataset(tmp_path / "none.csv")


def test_a_byte_order_mark_windows_line_ends_and_fractions_are_read(tmp_path):
    path = tmp_path / "data.csv"
    lines = [HEADER, "1,0,90.5,1e2,180", *GOOD[1:]]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    dataset = read_dataset(path)
    assert dataset.press[0].tolist() == [0.0, 100.0]
    assert dataset.release[0].tolist() == [90.5, 180.0]


def test_columns_are_found_by_name(tmp_path):
    shuffled = ["release-1,user,press-1,release-0,press-0", "180,1,100,90,0", "181,1,100,90,0"]
    shuffled += ["182,2,100,90,0", "183,2,100,90,0"]
    dataset = read(tmp_path, *shuffled)
    assert dataset.press[0].tolist() == [0.0, 100.0]
    assert dataset.release[0].tolist() == [90.0, 180.0]


@pytest.mark.parametrize(
    ("ids", "classes"),
    [
        (["10", "9", "-1"], [-1, 9, 10]),
        (["10", "9", "007"], ["007", "10", "9"]),
        (["10", "9", "-0"], ["-0", "10", "9"]),
        (["1", "9007199254740991"], [1, 9007199254740991]),
        (["1", "9007199254740992"], ["1", "9007199254740992"]),
        (["1", "9" * 5000], ["1", "9" * 5000]),
        (["b", "a", "Z", "é", "😀"], ["Z", "a", "b", "é", "😀"]),
    ],
)
def test_ids_are_integers_only_when_all_are_and_sort_as_such(tmp_path, ids, classes):
    rows = [f"{name},0,70,90,150" for name in ids for _ in range(2)]
    dataset = read(tmp_path, HEADER, *rows)
    assert dataset.classes == classes
    assert [str(dataset.classes[target]) for target in dataset.targets[::2]] == ids


def test_repetitions_count_a_users_rows_in_file_order(tmp_path):
    dataset = read(tmp_path, HEADER, GOOD[0], GOOD[2], GOOD[1], GOOD[3], GOOD[0])
    assert dataset.repetitions.tolist() == [0, 0, 1, 1, 2]
    assert dataset.repetition_counts == [3, 2]


def in_sessions(tmp_path, sessions: dict[str, list[int]]):
    """A dataset of users whose typings are of the sessions listed."""
    rows = [
        f"{user},{session},0,70,90,150" for user, numbers in sessions.items() for session in numbers
    ]
    return read(tmp_path, HEADER.replace("user,", "user,session,"), *rows)


def test_sessions_are_read_where_there_are_any(tmp_path):
    assert read(tmp_path, HEADER, *GOOD).sessions.tolist() == [0, 0, 0, 0]
    dataset = in_sessions(tmp_path, {"a": [3, 3, 20], "b": [1, 7]})
    assert dataset.sessions.tolist() == [3, 3, 20, 1, 7]
    assert dataset.press[0].tolist() == [0.0, 90.0]
    assert dataset.repetitions.tolist() == [0, 1, 2, 0, 1], "counted on over sessions"


@pytest.mark.parametrize("cell", ["1.5", "-1", "x", "1e3", "1234567890"])
def test_a_session_that_is_no_whole_number_is_refused(tmp_path, cell):
    lines = [HEADER.replace("user,", "user,session,"), f"1,{cell},0,70,90,150"]
    assert problems_of(tmp_path, "\n".join(lines)) == [
        f"line 2 (row 1), column session: {cell!r} is not a whole number"
    ]


def test_an_empty_session_is_refused(tmp_path):
    lines = [HEADER.replace("user,", "user,session,"), "1,,0,70,90,150"]
    assert problems_of(tmp_path, "\n".join(lines)) == ["line 2 (row 1), column session: empty"]


def test_a_session_after_a_later_one_is_refused(tmp_path):
    with pytest.raises(DataError) as refusal:
        in_sessions(tmp_path, {"a": [1, 2, 1], "b": [1, 2]})
    assert refusal.value.problems == [
        "line 4 (row 3), column session: session 1 of 'a' after its session 2"
    ]


def test_a_user_with_one_session_is_refused_where_others_have_several(tmp_path):
    with pytest.raises(DataError) as refusal:
        in_sessions(tmp_path, {"a": [1, 2, 3], "b": [1, 1]})
    assert refusal.value.problems == [
        "line 5 (row 4), column session: 'b' has only this session, "
        "others have 3: at least 2 are needed, or the same one for everybody"
    ]


def test_one_session_each_is_like_none(tmp_path):
    dataset = in_sessions(tmp_path, {"a": [1, 1, 1], "b": [2, 2]})
    assert not dataset.has_sessions
    assert folds(dataset).tolist() == [0, 1, 2, 0, 1]


def test_without_sessions_a_repetition_is_held_out_at_a_time(make_dataset):
    dataset = make_dataset(users="abc", repetitions=(3, 12, 2))
    assert folds(dataset).tolist() == (dataset.repetitions % 10).tolist()
    assert folds(dataset, most=4).tolist() == (dataset.repetitions % 4).tolist()
    assert folds(dataset, wanted=12).tolist() == dataset.repetitions.tolist()
    assert folds(dataset, wanted=2).tolist() == (dataset.repetitions % 2).tolist()


@pytest.mark.parametrize("layout", ["own", "cmu"])
@pytest.mark.parametrize("wanted", [None, 2, 3])
def test_no_session_is_in_training_and_held_out_at_once(tmp_path, layout, wanted):
    path = tmp_path / "data.csv"
    path.write_text(synthesise(3, 4, 3, seed=1, sessions=5, layout=layout), "utf-8")
    dataset = read_dataset(path)
    held_out_in = folds(dataset, wanted=wanted)
    assert held_out_in.max() + 1 == (wanted or 5)
    for fold in range(held_out_in.max() + 1):
        held_out = held_out_in == fold
        sessions = [
            set(zip(dataset.targets[rows], dataset.sessions[rows], strict=True))
            for rows in (held_out, ~held_out)
        ]
        assert not sessions[0] & sessions[1]


def test_every_user_is_in_training_in_every_fold(tmp_path):
    # Sessions 1 and 11 are of one fold by their numbers: they are counted for each user.
    dataset = in_sessions(tmp_path, {"a": [1, 11], "b": list(range(12)), "c": [3, 5, 5]})
    held_out_in = folds(dataset)
    assert held_out_in.max() == 9
    for fold in range(10):
        assert len(np.unique(dataset.targets[held_out_in != fold])) == 3


@pytest.mark.parametrize("wanted", [0, 1, 4])
def test_folds_that_cannot_be_are_refused(tmp_path, wanted):
    dataset = read(tmp_path, HEADER, *GOOD, GOOD[0])
    with pytest.raises(DataError) as refusal:
        folds(dataset, wanted=wanted)
    assert refusal.value.problems == [
        f"{wanted} folds asked for, there can be 2 to 3: no user has more typings"
    ]


def test_folds_are_counted_in_sessions_where_there_are_any(tmp_path):
    with pytest.raises(DataError, match="there can be 2 to 2: no user has more sessions"):
        folds(in_sessions(tmp_path, {"a": [1, 1, 2], "b": [1, 2, 2]}), wanted=3)


def test_feature_rows_are_had_by_name(make_dataset):
    dataset = make_dataset(keys=5)
    assert {name: rows.shape for name, rows in dataset.features.items()} == {
        "summary": (18, 8),
        "timings": (18, 28),
    }
