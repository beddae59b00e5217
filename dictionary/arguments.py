"""The arguments of `python -m dictionary`."""

import argparse
from pathlib import Path

from dictionary.calibration import NOISE_CLIPS
from dictionary.demo import COLLECTION
from processes.commands import name_command, parse_positive
from processes.cores import count_cores
from processes.version import PRODUCT
from search.spotter import DEFAULT_RATE

FAILURES = Path("failures.csv")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of `python -m dictionary`."""
    parser = argparse.ArgumentParser(
        prog=name_command("dictionary"), description="Sign dictionaries: index clips, and search them by signing."
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    where = _build_where()
    index = commands.add_parser("index", parents=[where], help="store the poses and videos of a folder or a manifest")
    index.add_argument(
        "source", type=Path, metavar="SOURCE", help="a folder of poses and videos, a manifest, or a file"
    )
    index.add_argument("collection", metavar="COLLECTION", help="it is made if there is none")
    index.add_argument("--sign-language", help="tag of clips that have none")
    index.add_argument("--failures", type=Path, default=FAILURES, help=f"list of failed clips (default: {FAILURES})")
    cores = count_cores()
    index.add_argument("--jobs", type=parse_positive, default=cores, help="videos at a time (default: the cores)")
    demo = commands.add_parser("demo", parents=[where], help=f"store the letters of 19 alphabets in {COLLECTION}")
    demo.add_argument("--failures", type=Path, help="list of failed clips (default: they are printed)")
    demo.set_defaults(jobs=1)
    query = commands.add_parser("query", parents=[where], help="search a collection by a clip or a text")
    query.add_argument("collection", metavar="COLLECTION")
    query.add_argument("clip", type=Path, nargs="?", metavar="CLIP", help="a pose, which may be packed, or a video")
    query.add_argument("--text", help="search by a text instead")
    query.add_argument("--sign-language", help="of the text's prompt")
    query.add_argument("-k", type=parse_positive, default=10, help="most hits (default: 10)")
    report = commands.add_parser("report", parents=[where], help="how well a collection tells its glosses apart")
    report.add_argument("collection", metavar="COLLECTION")
    report.add_argument("--method", choices=("prototype", "neighbours", "probe"), default="prototype")
    _add_spot(commands.add_parser("spot", parents=[where], help="find signs in a recording"))
    calibrate = commands.add_parser("calibrate", help="make a model's background of clips that fit nothing")
    calibrate.add_argument("model", metavar="MODEL", help="a name of the catalog, or a folder with config.yaml")
    calibrate.add_argument("sources", type=Path, nargs="+", metavar="SOURCE", help="folders, manifests, .pose files")
    calibrate.add_argument("--texts", type=Path, metavar="FILE", help="texts that fit nothing, one a line")
    calibrate.add_argument("--noise", type=int, default=NOISE_CLIPS, help=f"random poses (default: {NOISE_CLIPS})")
    calibrate.add_argument("--out", type=Path, help="file to write (default: beside the model's weights)")
    return parser


def _add_spot(spot: argparse.ArgumentParser) -> None:
    spot.add_argument("recording", type=Path, metavar="RECORDING", help="a pose or a video of any length")
    spot.add_argument("--query", action="append", default=[], metavar="TEXT", help="may be given several times")
    spot.add_argument("--collection", help="look for its glosses instead")
    spot.add_argument("--sign-language", help="of the queries' prompts")
    spot.add_argument(
        "--threshold", type=float, help="least score of a find: a z-score with a background, else a cosine"
    )
    spot.add_argument(
        "--rate",
        type=_parse_rate,
        default=DEFAULT_RATE,
        help=f"share of windows without a sign that may reach the threshold (default: {DEFAULT_RATE})",
    )
    spot.add_argument("--out", type=Path, metavar="FILE", help=".eaf, .vtt, .csv or .json (default: a table, printed)")


def _build_where() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--url", help="a service; without it the model and the store are opened here")
    where.add_argument("--api-key", help="when the service asks for one")
    where.add_argument("--model", help="a name of the catalog (default: the one that ships; of a service, its own)")
    return where


def _parse_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; a number above 0 and below 1 is needed")
    return rate
