"""The original's way of serving, to measure against: `gunicorn -w 4 benchmarks.original:app`.

As its server does it: every worker holds its own copy of the model, one request at a time, and each request runs both
towers, the text padded to 64 tokens and the clip to 256 frames. Same weights, same libraries, torch in float32.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from flask import Flask, Response, request

from models.architecture import SignClip
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
    # A copy of its own, as the original's workers hold: the file's pages would be shared.
    module = load_model(WEIGHTS.converted(CONFIG), CONFIG)
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
    return module


def both_towers(features: np.ndarray | None, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Run both towers on padded inputs, whichever was asked for; the other one gets a stand-in."""
    tokenizer = load_tokenizer(WEIGHTS.tokenizer(CONFIG))
    ids = tokenizer.input_ids(tokenizer.pieces([text])[0], max_pieces=CONFIG.max_pieces)
    input_ids = torch.zeros(1, CONFIG.max_tokens - 1, dtype=torch.long)
    input_ids[0, : len(ids)] = torch.from_numpy(ids)
    attention_mask = torch.arange(input_ids.shape[1])[None] < len(ids)
    frames = 1 if features is None else len(features)
    pose_features = torch.zeros(1, CONFIG.max_frames, CONFIG.feature_dim)
    if features is not None:
        pose_features[0, :frames] = torch.from_numpy(features)
    frame_mask = torch.arange(CONFIG.max_frames)[None] < frames
    with torch.inference_mode():
        return model().encode_text(input_ids, attention_mask), model().encode_pose(pose_features, frame_mask)


@app.post("/api/embed/text")
def embed_text() -> dict[str, list[list[float]]]:
    return {"embeddings": [both_towers(None, text)[0][0].tolist() for text in request.get_json()["text"]]}


@app.post("/api/embed/pose")
def embed_pose() -> dict[str, list[list[float]]]:
    features = extract(read(request.get_data()), CONFIG.features)
    return {"embeddings": [both_towers(features[: CONFIG.max_frames], "")[1][0].tolist()]}


@app.get("/readyz")
def ready() -> Response:
    both_towers(None, "house")
    return Response(status=200)
