"""Train the model of one experiment: `python -m training configs/experiments/fingerspelling.yaml [key=value …]`.

Writes weights and tokenizer where the service loads them, and the learned logit scale into the model's configuration.
"""

import argparse
import re
from pathlib import Path

import torch
from tqdm import tqdm

from models.architecture import SignClip
from models.catalog import CONFIGS, load_catalog
from models.checkpoint import write_safetensors
from models.weights import CONVERTED, TOKENIZER
from training.datasets.fingerspelling import read_lexicon
from training.dictionary import print_dictionary, score_dictionary
from training.experiment import read_experiment
from training.loop import train
from training.prompts import build_tokenizer, save_tokenizer


def save_model(model: SignClip, folder: Path, *, experiment: str) -> None:
    """Write a model's tensors as the service reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    write_safetensors(folder / CONVERTED, tensors, {"source": experiment})


def record_sizes(config_path: Path, *, logit_scale: float, vocab_size: int) -> None:
    """Set what only training knows in a model's YAML, and leave the rest, comments too, as it is."""
    text = config_path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^logit_scale: .*$", f"logit_scale: {logit_scale}", text)
    text = re.sub(r"vocab_size: \d+", f"vocab_size: {vocab_size}", text)
    config_path.write_text(text, encoding="utf-8")


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("config", type=Path, help="a file of configs/experiments")
    parser.add_argument("changes", nargs="*", help="key=value; augmentation.noise=0 reaches inside")
    parser.add_argument("--threads", type=int, default=1, help="the same number gives the same weights again")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    run = read_experiment(arguments.config, arguments.changes)
    clips = read_lexicon()
    tokenizer = build_tokenizer(clips)
    with tqdm(total=run.steps, desc=run.model) as bar:

        def show(_: int, loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        model = train(run, load_catalog()[run.model], clips, tokenizer, show)
    folder = Path(run.output)
    save_model(model, folder, experiment=arguments.config.stem)
    save_tokenizer(tokenizer, folder / TOKENIZER)
    record_sizes(
        CONFIGS / f"{run.model}.yaml",
        logit_scale=model.config.logit_scale,
        vocab_size=tokenizer.get_vocab_size(),
    )
    print_dictionary(score_dictionary(model, tokenizer, clips))


if __name__ == "__main__":
    main()
