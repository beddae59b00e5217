"""From what a request names, labels or a collection, to a classifier of its clips."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.access.keys import require_scope
from app.comparison import embed_alike
from app.errors import InputError, Problem, RequestError
from app.indexing import check_space, find_collection_model
from app.inference import RequestVectors
from app.intake.items import ItemRules, PreparedItems, prepare_texts
from app.intake.recognition_schemas import BankOptions
from app.intake.schemas import PromptOptions
from app.services import Services
from models.catalog import ModelConfig
from models.errors import ModelsError
from models.languages import read_languages
from search.banks import Bank, Method, build_bank, draw_shots
from search.classifiers import Classifier, build_bank_classifier, build_text_classifier
from search.entries import Collection
from search.errors import BankError
from search.interface import Columns
from search.probes import LinearProbe, unpack_probe

PROBE = "probe"
# A fit to more examples takes longer than a request may; it is kept beside the collection instead.
_MOST_FITTED = 5000
# Labels whose texts are embedded without being asked for. Later requests find them in the engine's cache.
_MOST_BLENDED = 256


@dataclass
class Question:
    """What clips of a request are compared with, before any of it is embedded.

    Attributes:
        config: the model that embeds the clips.
        method: how clips are classified.
        collection: the examples' collection; None: labels were given.
        bank: its examples; None with method text.
        labels: the texts to compare with; empty where only examples count.
        texts: these texts, prepared; None where only examples count.
        warnings: sentences for the answer.
    """

    config: ModelConfig
    method: Method
    collection: Collection | None = None
    bank: Bank | None = None
    labels: Sequence[str] = ()
    texts: PreparedItems | None = None
    probe: LinearProbe | None = None
    warnings: list[str] = field(default_factory=list)


def read_question(
    shared: Services,
    wanted: BankOptions,
    *,
    labels: Sequence[str] | None,
    pointer: str,
    model_name: str | None,
    default: Method = "prototype",
) -> Question:
    """Read the labels or the collection that a request names.

    Args:
        labels: texts of the request; None: it names a collection.
        pointer: of the key that holds the labels.
        model_name: that the request names; None: it names none.
        default: method for a collection where the request names none.
    Raises:
        SearchError: there is no such collection, it is of another space, or nothing can be learned from it.
        RequestError, ModelsError: a label is refused, or the model cannot be asked.
    """
    if wanted.collection is None:
        config = shared.find_model(model_name)
        question = Question(config, "text")
        _prepare_labels(shared, question, labels or (), prompts=wanted, pointers=_number(pointer, len(labels or ())))
        return question
    require_scope("search_read")  # the answer shows what the collection holds, whatever the route
    collection = shared.store.describe_collection(wanted.collection)
    config = find_collection_model(shared, collection, model_name)
    bank = read_bank(shared, collection.name, sign_language=wanted.sign_language)
    method = wanted.method or (default if len(bank.classes) <= _MOST_BLENDED else "prototype")
    question = Question(config, method, collection)
    if question.method in ("text", "blend"):
        _prepare_glosses(shared, question, bank.classes, wanted)
    if question.method == "text":
        return question
    question.bank = bank if wanted.shots == "all" else draw_shots(bank, wanted.shots)
    if question.method == "probe":
        _find_probe(shared, question, is_whole=wanted.shots == "all" and wanted.sign_language is None)
    return question


def read_bank(shared: Services, name: str, *, sign_language: str | None = None) -> Bank:
    """Read the clips of a collection that have a gloss.

    Args:
        sign_language: tag, alias or name; clips of other languages are left out, those without a tag are not.
    Raises:
        BankError: there are none.
        SearchError: there is no such collection, or the store cannot be read.
    """
    columns = shared.store.read_columns(name)
    tag = None if sign_language is None else _find_tag(sign_language)
    rows = [row for row in range(len(columns.ids)) if _is_example(columns, row, tag)]
    if not rows:
        raise BankError(
            f"collection {name!r} has no clip with a gloss among its {len(columns.ids)} entries; "
            "give the clips of each sign the same gloss"
        )
    return build_bank(columns.vectors[rows], [columns.glosses[row] for row in rows], [columns.ids[row] for row in rows])


def _is_example(columns: Columns, row: int, tag: str | None) -> bool:
    language = columns.sign_languages[row]
    fits = tag is None or not language or _find_tag(language) == tag
    return fits and columns.kinds[row] == "pose" and bool(columns.glosses[row])


def _find_tag(language: str) -> str:
    """Find the tag of a sign language that is named in any way; what no language is called stays as it is."""
    found = read_languages().find(language)
    return language if found is None else found.tag


def _number(pointer: str, count: int) -> list[str]:
    return [f"{pointer}/{index}" for index in range(count)]


def _prepare_glosses(shared: Services, question: Question, glosses: Sequence[str], wanted: BankOptions) -> None:
    """Prepare the glosses of a collection as texts; nobody who did not ask for texts is refused because of one."""
    try:
        _prepare_labels(shared, question, glosses, prompts=wanted, pointers=["/collection"] * len(glosses))
    except (RequestError, ModelsError) as error:
        if wanted.method is not None:
            raise
        question.method, question.labels = "prototype", ()
        question.warnings.append(f"the glosses are not compared as texts: {error}")


def _prepare_labels(
    shared: Services, question: Question, labels: Sequence[str], *, prompts: PromptOptions, pointers: list[str]
) -> None:
    if len(set(labels)) < len(labels):
        twice = next(label for row, label in enumerate(labels) if label in labels[:row])
        message = f"label number {1 + list(labels).index(twice)} is there twice; each label is needed once"
        raise InputError(message, problems=(Problem(pointers[0], message),))
    question.labels = labels
    question.texts = prepare_texts(
        question.config,
        shared.find_tokenizer(question.config),
        labels,
        prompts=prompts,
        rules=ItemRules(pointers),
        max_chars=shared.settings.max_text_chars,
    )
    question.warnings += question.texts.warnings


def _find_probe(shared: Services, question: Question, *, is_whole: bool) -> None:
    """Find the probe that is kept beside the collection, if it learned from the examples as they are now."""
    collection, bank = question.collection, question.bank
    if collection is None or bank is None:
        return
    kept = shared.store.read_attachment(collection.name, PROBE) if is_whole else None
    probe = None if kept is None else unpack_probe(kept)
    if probe is not None and _learned_from(probe, bank, version=collection.version):
        question.probe = probe
        return
    again = f"POST /api/collections/{collection.name}/fit keeps one"
    if len(bank) > _MOST_FITTED:
        raise BankError(f"a probe of {len(bank)} examples is not fitted while a request waits; {again}")
    if probe is not None:
        question.warnings.append(f"the kept probe is of an earlier version; one was fitted for this request. {again}")


def _learned_from(probe: LinearProbe, bank: Bank, *, version: int) -> bool:
    # Versions do not tell: upkeep makes new ones in which nothing has changed, those of a collection that was created
    # anew begin at 1 again, and an entry may arrive after the version was read. Older probes have no digest.
    same = probe.examples == bank.digest if probe.examples else probe.version == version
    return same and probe.classes == tuple(bank.classes)


def embed_question(
    shared: Services, question: Question, clips: dict[str, PreparedItems], *, deadline: float, skip: bool
) -> dict[str, RequestVectors]:
    """Embed the clips of a request, and the texts that they are compared with, with the same weights.

    Args:
        clips: groups of clips, by any names but "text".
        deadline: in seconds of time.monotonic().
        skip: leave out clips that fail.
    Raises:
        ProcessError, ModelsError, ItemFailedError: see app.inference.embed.
    """
    texts = {} if question.texts is None else {"text": question.texts}
    return embed_alike(shared, {**texts, **clips}, deadline=deadline, skip=skip)


def build_classifier(shared: Services, question: Question, vectors: dict[str, RequestVectors]) -> Classifier:
    """Build the classifier of a request's clips.

    Args:
        vectors: of embed_question.
    Raises:
        SpaceMismatchError: the collection's vectors were made by other weights.
        BankError: no probe can be fitted.
        BackgroundError: the model's background is damaged.
    """
    digest = next((found.digest for found in vectors.values() if found.digest is not None), None)
    background = shared.find_background(question.config, digest=digest)
    clips = None if background is None else background.clips
    if question.collection is not None and digest is not None:
        space = shared.describe_origin(question.config, {}, digest=digest, dtype=None)["space"]
        check_space(question.collection, space or "")
    if question.bank is not None:
        texts = vectors["text"].values if question.texts is not None else None
        return build_bank_classifier(
            question.bank, question.method, background=clips, probe=question.probe, texts=texts
        )
    return build_text_classifier(vectors["text"].values, question.labels, background=clips)
