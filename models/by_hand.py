"""Which files of a model come from where and go where, for machines that cannot download them."""

from models.catalog import ModelConfig
from models.checkpoints.folders import CHECKPOINT, WeightsFolder, holds_tokenizer
from models.download import HUB_FILES

# Words of bert-base-cased; a checkpoint that is not here yet cannot be asked for its own number.
_BERT_WORDS = 28_996


def describe_by_hand(config: ModelConfig, weights: WeightsFolder) -> str:
    """Say which files of a model come from where and go where, for a machine without this network.

    Returns:
        Lines of text; empty for a model without a download source.
    """
    source = config.download
    if source is None:
        return ""
    if source.drive_file:
        address = f"https://drive.google.com/uc?id={source.drive_file}"
    else:
        address = f"{source.experiment}/{CHECKPOINT} in https://drive.google.com/drive/folders/{source.drive_folder}"
    size_gb = _estimate_bytes(config) / 1e9
    lines = [
        "To put the files in place by hand, from a machine that has the network:",
        f"  {address}",
        f"    (about {size_gb / 2:.1f} GB in float16, {size_gb:.1f} GB in float32) as "
        f"{weights.locate_folder(config) / CHECKPOINT}",
    ]
    folder = weights.locate_tokenizer(config)
    if not holds_tokenizer(folder):
        lines += [
            f"  {', '.join(HUB_FILES)} of https://huggingface.co/{config.tokenizer} (under 2 MB)",
            f"    into {folder}",
        ]
    return "\n".join([*lines, f"Then run: python -m models convert {config.folder}"])


def _estimate_bytes(config: ModelConfig) -> int:
    """Estimate the size of a model's checkpoint in float32 by counting its parameters."""
    import torch  # not at the top: only a download that failed needs it

    from models.architecture import SignClip

    with torch.device("meta"):
        module = SignClip(config, vocab_size=config.text_tower.vocab_size or _BERT_WORDS)
    return sum(4 * parameter.numel() for parameter in module.parameters())
