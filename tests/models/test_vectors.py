"""The length of vectors, and how far they lie apart."""

import numpy as np
import pytest

from models.vectors import measure_error, normalize_vectors


def test_vectors_have_length_1_and_a_vector_of_zeros_stays() -> None:
    vectors = np.array([[3.0, -4.0], [0.0, 0.0], [1e-30, 0.0], [3e38, 3e38]], np.float32)
    normalized = normalize_vectors(vectors)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized, [[0.6, -0.8], [0.0, 0.0], [1.0, 0.0], [0.5**0.5, 0.5**0.5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("got", "error"),
    [([1.0, -4.0], 0.0), ([1.0, -3.0], 0.25), ([5.0, -4.0], 1.0), ([np.nan, -4.0], np.inf), ([np.inf, -4.0], np.inf)],
)
def test_the_error_is_a_share_of_the_largest_value(got: list[float], error: float) -> None:
    assert measure_error(np.array(got, np.float32), np.array([1.0, -4.0], np.float32)) == error


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_is_near_to_what_is_not_finite(value: float) -> None:
    assert measure_error(np.array([value], np.float32), np.array([value], np.float32)) == np.inf
