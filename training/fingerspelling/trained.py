"""A trained model of letters with its tokenizer, as the service loads them."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from models.architecture import SignClip
from models.catalog import ModelConfig, load_catalog
from models.checkpoints.folders import WeightsFolder, find_weights_dir
from models.checkpoints.loading import load_model


@dataclass(frozen=True)
class TrainedModel:
    """A model in evaluation mode.

    Attributes:
        config: of the catalog.
        model: on the CPU, in float32.
        tokenizer: of the model.
    """

    config: ModelConfig
    model: SignClip
    tokenizer: Tokenizer


def load_trained(name: str) -> TrainedModel:
    """Load a model of the catalog from the folder of all weights.

    Raises:
        ModelsError: the model is unknown, or its files are missing or damaged.
    """
    config = load_catalog().resolve(name)
    weights = WeightsFolder(find_weights_dir())
    model = load_model(weights.locate_converted(config), config)
    tokenizer = Tokenizer.from_file(str(weights.locate_tokenizer(config) / "tokenizer.json"))
    return TrainedModel(config, model, tokenizer)
