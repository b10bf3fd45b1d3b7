"""Weights in few bits: what is written comes back, and as near to what it was as the bits allow."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.models.packed_weights import GROUP, _packed, _unpacked, read_packed, restored, rounded, write_packed


@given(st.sampled_from([4, 6]), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_no_integer_is_lost_between_the_bits(bits: int, n_rows: int, n_groups: int, seed: int) -> None:
    largest = 2 ** (bits - 1) - 1
    shape = (n_rows, n_groups * GROUP)
    integers = np.random.default_rng(seed).integers(-largest, largest + 1, shape).astype(np.int8)
    packed = _packed(integers, bits)
    assert (_unpacked(packed, bits, shape) == integers).all()
    assert packed.nbytes <= integers.size * bits / 8 + 3


@pytest.mark.parametrize("bits", [4, 6])
def test_a_number_is_off_by_half_a_step_at_most(bits: int) -> None:
    matrix = np.random.default_rng(1).normal(size=(7, 3 * GROUP)).astype(np.float32)
    matrix[2, :GROUP] = 0  # a group without anything
    integers, scales = rounded(matrix, bits)
    steps = np.repeat(scales.astype(np.float32), GROUP, axis=1)
    assert np.abs(integers).max() == 2 ** (bits - 1) - 1
    assert (np.abs(restored(integers, scales) - matrix) <= 0.51 * steps).all()


def test_what_is_read_is_what_was_written_and_names_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    words, layer = (rng.normal(size=(5, 2 * GROUP)).astype(np.float32) for _ in range(2))
    bias = rng.normal(size=9).astype(np.float32)
    path = tmp_path / "model.safetensors"
    write_packed(path, {"words": (*rounded(words, 4), 4), "a.layer": (*rounded(layer, 6), 6), "a.bias": bias})
    read = read_packed(path)
    assert set(read) == {"words", "a.layer", "a.bias"}
    assert (read["words"] == restored(*rounded(words, 4))).all()
    assert (read["a.layer"] == restored(*rounded(layer, 6))).all()
    assert (read["a.bias"] == bias).all()
