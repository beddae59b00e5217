"""Evaluate a model on a data set: `python -m evaluation MODEL DATASET ROOT`."""

import argparse
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, get_args

from tqdm import tqdm

from corpora.arrays import Float32Array
from corpora.cache import FeatureCache
from corpora.errors import CorpusError
from corpora.examples import SPLITS
from corpora.prompts import TASKS
from corpora.published_files import VOCABULARY_FILE
from corpora.registry import CORPORA, DATA, read_corpus
from evaluation.clips import ReadingOptions
from evaluation.command_line import parse_positive
from evaluation.errors import EvaluationError
from evaluation.evaluation import (
    EvaluationSettings,
    Labels,
    ProbeSettings,
    embed_corpus,
    evaluate,
    run_probes,
)
from evaluation.probing import PROBES, SHOTS, Neighbours, Shots
from evaluation.provenance import read_training_record
from evaluation.published import Published, find_published_test, read_published
from evaluation.results import ScoreKind, write_run
from evaluation.tables import compare_runs, list_probes
from evaluation.terminal import show_probes, show_results
from evaluation.vocabulary import (
    RARE_COUNT,
    find_common_texts,
    read_vocabulary,
)
from models.backends.choice import DTYPES, choose_device, choose_dtype, make_backend
from models.catalog import Catalog, ModelConfig
from models.embedding import EmbeddingModel
from models.errors import ModelsError
from models.registry import Registry, find_model
from poses import PoseError
from poses.features import Flip
from poses.trim import Trim
from processes.commands import name_command
from processes.version import PRODUCT

OUTPUT = Path("runs") / "evaluation"


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate a model.

    Returns:
        The exit status: 0 success, 1 the model or the data set cannot be evaluated, 2 usage error.
    """
    options = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        _run(options)
    except (CorpusError, EvaluationError, ModelsError, PoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    published = read_published()
    _warn_if_unpublished(options.experiment, options.dataset, published)
    vocabulary = None
    if options.in_vocabulary is not None:
        vocabulary = find_vocabulary(options.in_vocabulary, over=options.vocabulary_over)
    root = options.root or DATA / options.dataset
    corpus = read_corpus(options.dataset, root, options.split)
    reading = ReadingOptions(None if options.cache is None else FeatureCache(options.cache), options.workers)
    model, training = load_model(options.model, options.weights_dir, device=options.device, dtype=options.dtype)
    settings = _build_settings(options, model.config)
    watch = partial(_show_progress, total=len(corpus), what=f"{corpus.name} {options.split}")
    metrics, vectors, results = evaluate(
        model, corpus, settings=settings, vocabulary=vocabulary, reading=reading, watch=watch
    )
    metrics = {
        "experiment": options.experiment,
        **metrics,
        "split": options.split,
        "training": training,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if options.probes:
        support = None
        if options.learn_from != options.split:
            learned = read_corpus(options.dataset, root, options.learn_from)
            watch = partial(_show_progress, total=len(learned), what=f"{corpus.name} {options.learn_from}")
            support, _ = embed_corpus(
                model, learned, settings=settings, vocabulary=vocabulary, reading=reading, watch=watch
            )
        probes = ProbeSettings(options.probes, options.shots, range(options.seeds), options.neighbours)
        metrics["probes"] = run_probes(vectors, support, settings=probes)
    probed = bool(options.probes)
    out = options.out or name_folder(options.model, corpus.name, split=options.split, settings=settings, probed=probed)
    write_run(out, metrics, vectors=vectors, results=results)
    print(show_results(compare_runs([metrics], published), [metrics["intervals"]]))
    for warning in metrics["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    if probed:
        print(show_probes(list_probes(metrics)))
    if metrics["skipped"]:
        name, reason = next(iter(metrics["skipped"].items()))
        print(f"{len(metrics['skipped'])} clips were left out; metrics.json lists the reasons", file=sys.stderr)
        print(f"the first: {name}: {reason}", file=sys.stderr)
    print(f"results are in {out}")


def _build_settings(options: argparse.Namespace, config: ModelConfig) -> EvaluationSettings:
    return EvaluationSettings(
        task=options.task,
        tagged=not options.no_tags,
        flip=options.flip,
        anonymize=options.anonymize,
        trim=options.trim or config.trim,
        skip_long=options.skip_long,
        score=options.score,
        vocabulary=options.in_vocabulary,
        labels=options.labels,
        sign_languages=tuple(options.sign_languages),
    )


def _warn_if_unpublished(experiment: str | None, dataset: str, published: Published) -> None:
    if experiment is None or find_published_test(published, experiment, dataset) is not None:
        return
    if experiment in published:
        print(f"warning: no metrics of {experiment} on {dataset} are published", file=sys.stderr)
        return
    near = get_close_matches(experiment, published, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    print(f"warning: no metrics of an experiment {experiment} are published{hint}", file=sys.stderr)


def name_folder(model: str, dataset: str, *, split: str, settings: EvaluationSettings, probed: bool) -> Path:
    """Name the default folder of an evaluation. Evaluations with different settings have different folders."""
    words = [model.rstrip("/").rpartition("/")[2], dataset, *([] if split == "test" else [split]), settings.describe()]
    words += ["probes"] * probed
    return OUTPUT / "-".join(re.sub(r"[^\w.]+", "_", word) for word in words)


def load_model(
    name: str, weights_dir: Path | None, *, device: str, dtype: str
) -> tuple[EmbeddingModel, dict[str, Any] | None]:
    """Load a model of the catalog, or one that a training run wrote.

    Args:
        name: of a model in the catalog, or a folder that holds config.yaml.
        weights_dir: folder of all weights; None: the service's.
        device, dtype: as for the service.
    Returns:
        The model, and how it was trained, if its folder says so; see read_training_record.
    Raises:
        ModelsError: the model is unknown, its weights are missing or damaged, or the device is not available.
    """
    config, weights = find_model(name, weights_dir=weights_dir)
    device = choose_device(device)
    dtype = choose_dtype(dtype, device)
    factory = partial(make_backend, backend="auto", device=device, dtype=dtype, threads=None)
    model = Registry(Catalog({config.name: config}), weights, make_backend=factory).get(config.name)
    return model, read_training_record(weights.locate_folder(config))


def find_vocabulary(where: str, *, over: int) -> frozenset[str]:
    """Read a vocabulary from a file, or from the training part of a data set given as NAME:ROOT.

    Args:
        over: texts with at most this many clips are left out.
    Raises:
        CorpusError, VocabularyError, OSError: the data set or the file cannot be read.
    """
    name, colon, root = where.partition(":")
    if not colon or name not in CORPORA:
        return read_vocabulary(Path(where), over=over)
    return find_common_texts(read_corpus(name, Path(root), "train").examples, over=over)


def _show_progress(clips: Iterable[Float32Array], *, total: int, what: str) -> Iterable[Float32Array]:
    shown: Iterable[Float32Array] = tqdm(clips, total=total, desc=what, unit=" clips", disable=None)
    return shown


def _parse_neighbours(word: str) -> Neighbours:
    return "sqrt" if word == "sqrt" else "shots" if word == "shots" else parse_positive(word)


def _parse_shots(word: str) -> Shots:
    return "all" if word == "all" else parse_positive(word)


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name_command("evaluation"), description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", metavar="MODEL", help="a name of the catalog, or a folder that training wrote")
    parser.add_argument("dataset", metavar="DATASET", help=", ".join(CORPORA))
    parser.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="its folder (default: data/DATASET)")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--out", type=Path, metavar="RUN_DIR", help=f"default: {OUTPUT}/MODEL-DATASET-SETTINGS")
    parser.add_argument("--experiment", help="name of a published experiment, whose metrics are printed beside ours")
    _add_prompt_arguments(parser)
    _add_clip_arguments(parser)
    _add_probe_arguments(parser)
    _add_machine_arguments(parser)
    return parser


def _add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_argument_group("prompts and scores")
    prompts.add_argument("--task", choices=TASKS, default="retrieval")
    prompts.add_argument("--no-tags", action="store_true", help="prompts are the texts, without languages")
    prompts.add_argument(
        "--labels",
        choices=get_args(Labels),
        default="prompts",
        help="clips of one label are right answers to each other; decoded: as the authors do, prompts are equal when "
        "their word pieces are, of which unknown ones vanish (default: %(default)s)",
    )
    prompts.add_argument("--score", choices=get_args(ScoreKind), default="dot")
    prompts.add_argument(
        "--in-vocabulary",
        metavar="FILE|DATASET:ROOT",
        nargs="?",
        const=str(DATA / VOCABULARY_FILE),
        help="evaluate only texts of a list or CSV file (text, count), or of a data set's training part; without a "
        "value: of the authors' table, which `python -m corpora fetch vocabulary` brings (%(const)s)",
    )
    prompts.add_argument(
        "--vocabulary-over",
        type=int,
        default=RARE_COUNT,
        metavar="COUNT",
        help="leave texts with at most COUNT clips out of the vocabulary (default: %(default)s)",
    )


def _add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    clips = parser.add_argument_group("clips")
    clips.add_argument(
        "--flip",
        choices=get_args(Flip),
        nargs="?",
        default="never",
        const="auto",
        help="mirror clips; auto, also the meaning of --flip alone: those whose right hand never moves; authors: their "
        "rule, which never mirrors a .pose file whose right hand was not seen at all",
    )
    clips.add_argument(
        "--sign-languages", nargs="+", default=[], metavar="TAG", help="leave out clips of other sign languages"
    )
    clips.add_argument("--anonymize", action="store_true", help="replace each signer's appearance by the average one")
    clips.add_argument("--trim", choices=get_args(Trim), help="auto: cut clips to the signing (default: the model's)")
    clips.add_argument("--skip-long", action="store_true", help="leave out clips over max_frames; else they are cut")


def _add_probe_arguments(parser: argparse.ArgumentParser) -> None:
    probes = parser.add_argument_group("probes of frozen embeddings")
    probes.add_argument("--probes", nargs="+", choices=PROBES, default=[], metavar="PROBE", help=", ".join(PROBES))
    probes.add_argument("--shots", nargs="+", type=_parse_shots, default=list(SHOTS), help="clips a class, or all")
    probes.add_argument("--seeds", type=parse_positive, default=5, help="number of draws (default: %(default)s)")
    probes.add_argument(
        "--neighbours",
        type=_parse_neighbours,
        default="shots",
        help="clips that vote in nearest_clips: as many as there are shots, a number, or sqrt: as the authors do, the "
        "square root of the number of learned clips (default: %(default)s)",
    )
    probes.add_argument(
        "--learn-from",
        choices=SPLITS,
        default="train",
        help="part to draw shots from; if it is SPLIT itself, the drawn clips are not classified",
    )


def _add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--weights-dir", type=Path, help="default: $SIGNCLIP_WEIGHTS_DIR, else weights/ of the project"
    )
    machine.add_argument("--cache", type=Path, help="folder that keeps features, so that clips are parsed only once")
    machine.add_argument("--workers", type=parse_positive, default=1, help="processes that parse clips (default: 1)")
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:0")
    machine.add_argument("--dtype", choices=DTYPES, default="float32")


if __name__ == "__main__":
    sys.exit(main())
