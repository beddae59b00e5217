"""Score a model on a data set: `python -m evaluation MODEL DATASET ROOT`."""

import argparse
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from corpora.cache import FeatureCache
from corpora.errors import CorpusError
from corpora.examples import SPLITS
from corpora.prompts import TASKS
from corpora.registry import CORPORA, DATA, read_corpus
from evaluation.clips import Floats, Reading
from evaluation.command_line import positive
from evaluation.errors import EvaluationError
from evaluation.evaluation import (
    ProbeSettings,
    Settings,
    embed_corpus,
    evaluate,
    run_probes,
)
from evaluation.probing import PROBES, SHOTS, Shots
from evaluation.results import Score, write_run
from evaluation.tables import compare, probe_rows, probes_markdown, read_published, results_markdown
from evaluation.vocabulary import (
    RARE_COUNT,
    find_common_texts,
    read_vocabulary,
)
from models.backends.choice import DTYPES, choose_device, choose_dtype, make_backend
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder, default_weights_dir
from models.embedding import EmbeddingModel
from models.errors import ModelsError
from models.registry import Registry
from poses import PoseError
from processes.version import PRODUCT

OUTPUT = Path("runs") / "evaluation"


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate; the exit status: 0 done, 1 refused, 2 misspelt."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        _run(options)
    except (CorpusError, ModelsError, PoseError, EvaluationError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    settings = Settings(
        task=options.task,
        tagged=not options.no_tags,
        flip=options.flip,
        anonymize=options.anonymize,
        skip_long=options.skip_long,
        score=options.score,
        vocabulary=options.in_vocabulary,
    )
    published = read_published()
    if options.experiment is not None and options.experiment not in published:
        near = get_close_matches(options.experiment, published, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"warning: nothing is published of an experiment {options.experiment}{hint}", file=sys.stderr)
    vocabulary = None
    if options.in_vocabulary is not None:
        vocabulary = find_vocabulary(options.in_vocabulary, over=options.vocabulary_over)
    root = options.root or DATA / options.dataset
    corpus = read_corpus(options.dataset, root, options.split)
    reading = Reading(None if options.cache is None else FeatureCache(options.cache), options.workers)
    model = load(options.model, options.weights_dir, device=options.device, dtype=options.dtype)
    watch = partial(_show, total=len(corpus), what=f"{corpus.name} {options.split}")
    figures, vectors, searched = evaluate(model, corpus, settings, vocabulary=vocabulary, reading=reading, watch=watch)
    metrics = {
        "experiment": options.experiment,
        **figures,
        "split": options.split,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if options.probes:
        known = None
        if options.learn_from != options.split:
            support = read_corpus(options.dataset, root, options.learn_from)
            watch = partial(_show, total=len(support), what=f"{corpus.name} {options.learn_from}")
            known, _ = embed_corpus(model, support, settings, vocabulary=vocabulary, reading=reading, watch=watch)
        probes = ProbeSettings(options.probes, options.shots, range(options.seeds))
        metrics["probes"] = run_probes(vectors, known, probes)
    out = options.out or default_folder(
        options.model, corpus.name, options.split, settings, probed=bool(options.probes)
    )
    write_run(out, metrics, vectors, searched)
    print(results_markdown(compare([metrics], published)))
    if options.probes:
        print(probes_markdown(probe_rows(metrics)))
    if metrics["skipped"]:
        print(f"{len(metrics['skipped'])} clips were left out; metrics.json says why", file=sys.stderr)
    print(f"written to {out}")


def default_folder(model: str, dataset: str, split: str, settings: Settings, *, probed: bool) -> Path:
    """Where an evaluation goes that names no folder: another one for whatever else is asked."""
    words = [model.rstrip("/").rpartition("/")[2], dataset, *([] if split == "test" else [split]), settings.describe()]
    words += ["probes"] * probed
    return OUTPUT / "-".join(re.sub(r"[^\w.]+", "_", word) for word in words)


def load(name: str, weights_dir: Path | None, *, device: str, dtype: str) -> EmbeddingModel:
    """Load a model by its name in the catalog, or from a folder that a training run wrote.

    Args:
        name: of a model, or a folder that holds config.yaml.
        weights_dir: None: as the service.
    """
    folder = Path(name)
    if (folder / "config.yaml").is_file():
        name, weights_dir = folder.resolve().name, folder.resolve().parent
    weights = WeightsFolder(weights_dir or default_weights_dir())
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)
    factory = partial(make_backend, backend="auto", device=device, dtype=dtype, threads=None)
    return Registry(load_catalog(weights=weights.path), weights, make_backend=factory).get(name)


def find_vocabulary(where: str, *, over: int) -> frozenset[str]:
    """Read a vocabulary from a file, or from the training part of a data set given as NAME:ROOT."""
    name, colon, root = where.partition(":")
    if not colon or name not in CORPORA:
        return read_vocabulary(Path(where), over=over)
    return find_common_texts(read_corpus(name, Path(root), "train").examples, over=over)


def _show(clips: Iterable[Floats], *, total: int, what: str) -> Iterable[Floats]:
    shown: Iterable[Floats] = tqdm(clips, total=total, desc=what, unit=" clips", disable=None)
    return shown


def _shots(word: str) -> Shots:
    return "all" if word == "all" else positive(word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", metavar="MODEL", help="name in the catalog, or a folder that training wrote")
    parser.add_argument("dataset", metavar="DATASET", help=", ".join(CORPORA))
    parser.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="where the data set lies: data/DATASET")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=Path, metavar="RUN_DIR", help=f"default: {OUTPUT}/MODEL-DATASET-WHAT_WAS_ASKED")
    parser.add_argument("--experiment", help="its name among the published figures, to print those beside")

    asking = parser.add_argument_group("what is asked")
    asking.add_argument("--task", choices=TASKS, default="retrieval")
    asking.add_argument("--no-tags", action="store_true", help="prompts are the texts, without languages")
    asking.add_argument("--score", choices=get_args(Score), default="dot")
    asking.add_argument(
        "--in-vocabulary",
        metavar="FILE|DATASET:ROOT",
        help="ask only for texts in a list or CSV (text, count), or in a data set's training part",
    )
    asking.add_argument(
        "--vocabulary-over", type=int, default=RARE_COUNT, metavar="COUNT", help="leave rarer texts out"
    )

    clips = parser.add_argument_group("what is done to clips")
    clips.add_argument(
        "--flip",
        choices=("never", "auto", "always"),
        nargs="?",
        default="never",
        const="auto",
        help="auto, also if nothing follows: left-handed ones",
    )
    clips.add_argument("--anonymize", action="store_true", help="replace appearances by the average one")
    clips.add_argument("--skip-long", action="store_true", help="leave clips over max_frames out instead of cutting")

    probes = parser.add_argument_group("what frozen embeddings know")
    probes.add_argument("--probes", nargs="+", choices=PROBES, default=[], metavar="PROBE", help=", ".join(PROBES))
    probes.add_argument("--shots", nargs="+", type=_shots, default=list(SHOTS), help="clips a class, or all")
    probes.add_argument("--seeds", type=positive, default=5, help="draws of clips")
    probes.add_argument("--learn-from", choices=SPLITS, default="train", help="SPLIT itself: its clips not asked for")

    machine = parser.add_argument_group("where it runs")
    machine.add_argument(
        "--weights-dir", type=Path, help="default: $SIGNCLIP_WEIGHTS_DIR, else weights/ of the project"
    )
    machine.add_argument("--cache", type=Path, help="folder that keeps features, so that clips are parsed once")
    machine.add_argument("--workers", type=positive, default=1, help="processes that parse clips")
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    machine.add_argument("--dtype", choices=DTYPES, default="float32")
    return parser


if __name__ == "__main__":
    sys.exit(main())
