"""Command line: train on a CSV file, make one up, run CMU's benchmark on one, or write the known
answers of enrolment.
"""

import argparse
import json
import sys
from pathlib import Path

from keystroke_training.benchmark import benchmark, benchmark_table
from keystroke_training.data import read_dataset
from keystroke_training.enrolment_answers import enrolment_answers
from keystroke_training.models import MODELS
from keystroke_training.parity import ParityError
from keystroke_training.reading.table import DataError
from keystroke_training.synthesis import LAYOUTS, synthesise
from keystroke_training.training import train

REPOSITORY = Path(__file__).resolve().parents[2]
ANSWERS = REPOSITORY / "test" / "fixtures" / "enrolment" / "known-answers.json"
OVER_THE_API = REPOSITORY / "bench" / "results" / "quality.json"
SHOWN_PROBLEMS = 20


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 an export differs from its source, 2 the
    data or the arguments are refused. Only 0 changes the output folder.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # The main job needs no name: `train DATA`.
    named = arguments and arguments[0] in ("train", "synthesise", "benchmark", "answers")
    options = _parser().parse_args(arguments if named else ["train", *arguments])
    try:
        options.run(options)
    except DataError as error:
        for problem in error.problems[:SHOWN_PROBLEMS]:
            print(f"{options.data}: {problem}", file=sys.stderr)
        hidden = len(error.problems) - SHOWN_PROBLEMS
        if hidden > 0:
            print(f"{options.data}: and {hidden} more problems", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except ParityError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    names = [model.name for model in MODELS]

    training = commands.add_parser(
        "train", prog="train", help="fit, measure and write the models; may be left out"
    )
    training.set_defaults(run=_train)
    training.add_argument("data", type=Path, metavar="DATA", help="CSV file of typings")
    training.add_argument(
        "--out", type=Path, default=REPOSITORY / "models", help="folder of the artefacts"
    )
    training.add_argument(
        "--models",
        type=_list_of(names),
        metavar="NAMES",
        help=f"of {','.join(names)} (default all)",
    )
    training.add_argument(
        "--folds", type=int, metavar="N", help="parts to hold out in turn (default: repetitions)"
    )
    training.add_argument("--seed", type=_seed, default=42, help="of all chance (default 42)")

    made_up = commands.add_parser("synthesise", help="make up typings, for want of real ones")
    made_up.set_defaults(run=_synthesise)
    made_up.add_argument("data", type=Path, metavar="DATA", help="CSV file to write")
    for name, default in (("users", 20), ("repetitions", 10), ("keys", 13), ("sessions", 1)):
        made_up.add_argument(f"--{name}", type=_count, default=default, metavar="N")
    made_up.add_argument("--layout", choices=LAYOUTS, default="own")
    made_up.add_argument("--seed", type=_seed, default=1)

    measuring = commands.add_parser(
        "benchmark", help="verification by the protocol of Killourhy & Maxion (2009)"
    )
    measuring.set_defaults(run=_benchmark)
    measuring.add_argument("data", type=Path, metavar="DATA", help="CSV file of typings")
    measuring.add_argument("--seed", type=_seed, default=1)

    answering = commands.add_parser(
        "answers", help="write what the service's tests of enrolment expect, of made-up people"
    )
    answering.set_defaults(run=_answer)
    answering.add_argument("--models", type=Path, default=REPOSITORY / "models", metavar="FOLDER")
    answering.add_argument("--out", type=Path, default=ANSWERS, metavar="FILE")
    return parser


def _train(options: argparse.Namespace) -> None:
    dataset = read_dataset(options.data)
    options.out.mkdir(parents=True, exist_ok=True)  # or refused before the work is done
    # Written by `npm run bench:quality`: who has the trainer alone has none.
    over_the_api = json.loads(OVER_THE_API.read_bytes()) if OVER_THE_API.exists() else None
    train(dataset, options.out, options.seed, options.models, options.folds, over_the_api)


def _synthesise(options: argparse.Namespace) -> None:
    try:
        text = synthesise(
            options.users,
            options.repetitions,
            options.keys,
            options.seed,
            sessions=options.sessions,
            layout=options.layout,
        )
    except ValueError as error:
        raise DataError([str(error)]) from error
    with options.data.open("x", encoding="utf-8") as file:  # never over a file that is there
        file.write(text)
    print(f"wrote {options.data}")


def _benchmark(options: argparse.Namespace) -> None:
    dataset = read_dataset(options.data)
    print(benchmark_table(dataset, benchmark(dataset, options.seed), options.seed))


def _answer(options: argparse.Namespace) -> None:
    options.out.write_text(enrolment_answers(options.models), "utf-8")
    print(f"wrote {options.out}")


def _list_of(known: list[str]):  # noqa: ANN202 (a converter for argparse)
    def names(text: str) -> list[str]:
        wanted = text.split(",")
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"no model {unknown[0]!r}; there are {', '.join(known)}"
            )
        return wanted

    return names


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 1_000_000:
        raise ValueError(text)
    return count


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise ValueError(text)
    return seed


if __name__ == "__main__":
    sys.exit(main())
