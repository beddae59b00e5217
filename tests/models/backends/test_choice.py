"""What is chosen when nothing serves it: never silently something else."""

import pytest

from models.backends.choice import BACKENDS, DTYPES, choose_backend, choose_dtype
from models.catalog import ModelConfig, load_catalog
from models.errors import BackendError


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return load_catalog()["fingerspelling"]


@pytest.mark.parametrize("name", ["tensorrt", "Torch", ""])
def test_an_unknown_backend_does_not_mean_torch(config: ModelConfig, name: str) -> None:
    for frontend in ("mlp", "hand_geometry"):
        with pytest.raises(BackendError, match=f"{name!r}; choose one of {', '.join(BACKENDS)}"):
            choose_backend(name, "cpu", config.model_copy(update={"pose_frontend": frontend}))


@pytest.mark.parametrize("name", ["half", "float64", ""])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_an_unknown_number_format_is_refused(device: str, name: str) -> None:
    with pytest.raises(BackendError, match=f"{name!r}; choose one of {', '.join(DTYPES)}"):
        choose_dtype(name, device)
