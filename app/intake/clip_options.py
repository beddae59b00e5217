"""What a request's options for clips mean to the model that it asks."""

from app.intake.schemas import ClipOptions
from models.catalog import ModelConfig


def is_trimmed(clips: ClipOptions, config: ModelConfig) -> bool:
    """Return whether clips are cut to the signing: as the request asks, or else as the model does."""
    return (clips.trim or config.trim) == "auto"


def list_unusual(clips: ClipOptions, config: ModelConfig) -> dict[str, str | bool]:
    """List the options that change vectors and are not at the model's default."""
    options: dict[str, str | bool] = {} if clips.flip == "never" else {"flip": clips.flip}
    if clips.anonymize:
        options["anonymize"] = True
    if clips.trim is not None and clips.trim != config.trim:
        options["trim"] = clips.trim
    return options
