"""The original's way of serving, to measure against: `gunicorn -w 4 benchmarks.original:app`.

As its server does it: every worker holds its own copy of the model, one request at a time, and each request runs both
towers, the text padded to 64 tokens and the clip to 256 frames. Same weights, same libraries, torch in float32.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from flask import Flask, Response, request

from models.architecture import SignClip
from models.batching import pad
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder
from models.checkpoints.loading import load_model
from models.tokenization import load_tokenizer
from poses.features import extract
from poses.reading import read

app = Flask(__name__)
CONFIG = load_catalog()["default"]
WEIGHTS = WeightsFolder(Path(os.environ["BENCHMARK_WEIGHTS"]))


@lru_cache(maxsize=1)
def model() -> SignClip:
    """Load the model once a process."""
    # A copy of its own, as the original's workers hold: the file's pages would be shared.
    module = load_model(WEIGHTS.locate_converted(CONFIG), CONFIG)
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
    return module


def both_towers(features: npt.NDArray[np.float32] | None, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Run both towers on inputs padded to the full length, as the original does for a text and for a clip.

    Args:
        features: float32 (frames, features) of a clip; None stands for one empty frame.
        text: with its tags; empty where a clip is asked for.
    Returns:
        The text's vector and the clip's, (1, embed_dim) each.
    """
    tokenizer = load_tokenizer(WEIGHTS.locate_tokenizer(CONFIG))
    ids = tokenizer.build_input_ids(tokenizer.split([text])[0], max_pieces=CONFIG.max_pieces)
    clip = np.zeros((1, CONFIG.feature_dim)) if features is None else features
    input_ids, attention_mask = pad([ids], dtype=np.int64, longest=CONFIG.max_tokens - 1)
    pose_features, frame_mask = pad([clip], dtype=np.float32, longest=CONFIG.max_frames)
    with torch.inference_mode():
        return (
            model().encode_text(torch.from_numpy(input_ids), torch.from_numpy(attention_mask)),
            model().encode_pose(torch.from_numpy(pose_features), torch.from_numpy(frame_mask)),
        )


@app.post("/api/embed/text")
def embed_text() -> dict[str, list[list[float]]]:
    """Embed the texts of a JSON body, one after the other."""
    return {"embeddings": [both_towers(None, text)[0][0].tolist() for text in request.get_json()["text"]]}


@app.post("/api/embed/pose")
def embed_pose() -> dict[str, list[list[float]]]:
    """Embed the one pose of a raw body."""
    features = extract(read(request.get_data()), CONFIG.features)
    return {"embeddings": [both_towers(features[: CONFIG.max_frames], "")[1][0].tolist()]}


@app.get("/readyz")
def ready() -> Response:
    """Answer when a forward went through."""
    both_towers(None, "house")
    return Response(status=200)
