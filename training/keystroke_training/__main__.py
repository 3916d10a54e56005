"""Command line: train the models on a CSV file and write the artefacts."""

import argparse
import sys
from pathlib import Path

from keystroke_training.data import DataError, read_dataset
from keystroke_training.parity import ParityError
from keystroke_training.training import train

REPOSITORY = Path(__file__).resolve().parents[2]
SHOWN_PROBLEMS = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the trainer; returns the exit code: 0 done, 1 an export differs from its source,
    2 the data or the arguments are refused. Only 0 changes the output folder.
    """
    parser = argparse.ArgumentParser(prog="train", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="CSV file of typings")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "models", help="folder of the artefacts"
    )
    parser.add_argument("--seed", type=_seed, default=42, help="of all random choices (default 42)")
    options = parser.parse_args(arguments)
    try:
        dataset = read_dataset(options.data)
        options.out.mkdir(parents=True, exist_ok=True)  # or refused before the work is done
        train(dataset, options.out, options.seed)
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


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise ValueError(text)
    return seed


if __name__ == "__main__":
    sys.exit(main())
