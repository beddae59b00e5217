"""The weights that training starts from: random ones, those of a BERT in either tower, or those of a served model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import BertModel
from transformers.utils import logging

from models.architecture import POSE_CLS, POSE_SEP, SignClip
from models.catalog import ModelConfig
from models.checkpoints.folders import TEXT_WORDS, WeightsFolder, find_weights_dir, holds_tokenizer
from models.checkpoints.loading import compare_shapes, load_model
from models.download import fetch_tokenizer
from models.errors import DownloadError
from models.registry import ensure_converted, find_model
from models.tokenization import Tokenizer, load_tokenizer
from training.errors import InitializationError
from training.experiment import Experiment
from training.seeds import WEIGHTS, derive_seed

SCRATCH = "scratch"
# Word lists are often padded to a multiple that suits a GPU. 128 is the largest multiple in use.
_SPARE_ROWS = 128
# Standard deviation of the weights of a new layer in BERT; transformers' `initializer_range`.
BERT_SPREAD = 0.02


def find_tokenizer(run: Experiment) -> tuple[Tokenizer, Path]:
    """Load the tokenizer of the model or BERT that a run starts from; else the one that the run's model names.

    Returns:
        The tokenizer, and the folder of its files.
    Raises:
        TokenizerError: the files cannot be read.
        InitializationError: the files are not on this machine, and the hub does not deliver them.
    """
    folder = _find_tokenizer_folder(run)
    return load_tokenizer(folder, run.model.lowercase), folder


def _find_tokenizer_folder(run: Experiment) -> Path:
    if run.start.model is not None:
        config, weights = find_model(run.start.model)
        own = weights.locate_tokenizer(config)
        if holds_tokenizer(own):
            return own
    start, named = Path(run.start.text), run.model
    if holds_tokenizer(start):
        return start
    if run.start.text != SCRATCH and not start.is_dir():  # A name on the hub, where a BERT's tokenizer has its name.
        named = run.model.model_copy(update={"tokenizer": run.start.text})
    shared = WeightsFolder(find_weights_dir()).path / "tokenizers" / named.tokenizer
    if not holds_tokenizer(shared):
        try:
            fetch_tokenizer(named, shared, force=False)
        except DownloadError as error:
            raise InitializationError(
                f"the tokenizer {named.tokenizer} is not in {shared}, and it cannot be downloaded: {error}. Put its "
                "tokenizer.json or vocab.txt there, or start without a download: with "
                "configs/experiments/own_data_small.yaml for words, or from_fingerspelling.yaml for letters"
            ) from error
    return shared


def build_model(run: Experiment, *, vocab_size: int, cls_id: int, sep_id: int) -> SignClip:
    """Build the model of a run with the weights that it starts from. The same run gives the same weights.

    Args:
        run: its `start` says where weights come from.
        vocab_size, cls_id, sep_id: of the run's tokenizer.
    Raises:
        InitializationError: the weights to start from are missing, or do not fit the model.
    """
    if run.start.model is not None:
        return _continue_from(run, run.start.model, vocab_size)
    torch.manual_seed(derive_seed(run.seed, WEIGHTS))
    berts = {name: _read_bert(name) for name in {run.start.text, run.start.pose} - {SCRATCH}}
    if run.start.text != SCRATCH:
        rows = berts[run.start.text].config.vocab_size
        if not vocab_size <= rows < vocab_size + _SPARE_ROWS:
            raise InitializationError(
                f"start.text {run.start.text} has {rows} words, and the tokenizer {vocab_size}: they do not belong "
                "together; put the BERT's own tokenizer files beside its weights"
            )
        vocab_size = rows
    model = SignClip(resize_vocabulary(run.model, vocab_size))
    if run.start.text != SCRATCH:
        _copy_bert(model.text_tower.bert, berts[run.start.text], run.start.text)
        words = berts[run.start.text].get_input_embeddings().weight
        _copy(model.text_tower.bert.embeddings.word_embeddings.weight, words, f"{run.start.text}: word list")
    if run.start.pose != SCRATCH:
        _start_pose(model, berts[run.start.pose], run.start.pose, {POSE_CLS: cls_id, POSE_SEP: sep_id})
    return model


def resize_vocabulary(config: ModelConfig, vocab_size: int) -> ModelConfig:
    """Return the same configuration for another number of word pieces."""
    return config.model_copy(update={"text_tower": config.text_tower.model_copy(update={"vocab_size": vocab_size})})


def _continue_from(run: Experiment, name: str, vocab_size: int) -> SignClip:
    config, weights = find_model(name)
    tensors = load_model(ensure_converted(config, weights), config).state_dict()
    rows = len(tensors[TEXT_WORDS])
    if vocab_size > rows:
        raise InitializationError(f"start.model {name} knows {rows} word pieces, but the tokenizer has {vocab_size}")
    model = SignClip(resize_vocabulary(run.model, rows))
    own = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    given = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if wrong := compare_shapes(given, own):
        raise InitializationError(f"start.model {name} does not fit the run's model: {'; '.join(wrong[:8])}")
    model.load_state_dict(tensors)
    return model


def _read_bert(name: str) -> BertModel:
    verbosity = logging.get_verbosity()
    # transformers would report at length that the pooler and the word prediction, which no tower has, are not used.
    logging.set_verbosity_error()
    try:
        # In float32, because some files on the hub are stored in half precision.
        bert, report = BertModel.from_pretrained(
            name, add_pooling_layer=False, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise InitializationError(f"{name} holds no BERT to start from: {error}") from error
    finally:
        logging.set_verbosity(verbosity)
    if missing := sorted(report["missing_keys"]):
        # transformers would fill them with random numbers.
        raise InitializationError(
            f"{name} holds an incomplete BERT: {len(missing)} tensors are missing, such as {missing[0]}"
        )
    return bert


def _start_pose(model: SignClip, bert: BertModel, name: str, rows: dict[int, int]) -> None:
    # As the authors' MMBertForEncoder.from_pretrained: BERT's first layers, and the frames' MLP as new layers of BERT.
    tower = model.pose_tower
    _copy_bert(tower.bert, bert, name)
    words = bert.get_input_embeddings().weight
    if max(rows.values()) >= len(words):
        raise InitializationError(
            f"{name} has {len(words)} words, but the tokenizer's [CLS] and [SEP] are the words {sorted(rows.values())}"
        )
    with torch.no_grad():
        for row, piece in rows.items():
            tower.bert.embeddings.word_embeddings.weight[row] = words[piece]
        for layer in (tower.mlp.linear1, tower.mlp.linear2):
            layer.weight.normal_(0.0, BERT_SPREAD)
            layer.bias.zero_()


def _copy_bert(target: nn.Module, bert: BertModel, name: str) -> None:
    # All except the word list, which the towers do not share. A smaller tower takes the first layers and positions.
    tensors = bert.state_dict()
    for key, tensor in target.state_dict().items():
        if "word_embeddings" in key:
            continue
        if key not in tensors:
            raise InitializationError(f"{name} has no {key}; it has fewer layers than the tower")
        given = tensors[key]
        _copy(tensor, given[: len(tensor)] if "position_embeddings" in key else given, f"{name}: {key}")


def _copy(target: Tensor, given: Tensor, what: str) -> None:
    if target.shape != given.shape:
        raise InitializationError(f"{what} is {tuple(given.shape)}, but the tower's is {tuple(target.shape)}")
    with torch.no_grad():
        target.copy_(given)
