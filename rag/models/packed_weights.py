"""Store weights in four or six bits per number, so that a model with 66 million weights fits into 46 MB.

Each row of a matrix is rounded in groups of GROUP numbers that share a scale, which maps the largest number of the
group to the largest integer. In the safetensors file, NAME.int4 or NAME.int6 holds the densely packed integers and
NAME.scale the scales in half precision. All other tensors are stored unchanged.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GROUP = 64
_WORD = 24  # bits: six numbers of four, or four of six, in three bytes
_SUFFIXES = {4: ".int4", 6: ".int6"}
_SCALE = ".scale"
_LEAST_SCALE = 1e-6  # scale for a group of zeros; half precision has little smaller

Floats = NDArray[np.floating]


def rounded(matrix: Floats, bits: int) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Return the integers, shaped like ``matrix``, and the scales, shaped (rows, columns / GROUP)."""
    groups = matrix.astype(np.float32).reshape(len(matrix), -1, GROUP)
    largest = 2 ** (bits - 1) - 1
    scales = np.maximum(np.abs(groups).max(-1) / largest, _LEAST_SCALE).astype(np.float16)
    integers = np.rint(groups / scales.astype(np.float32)[..., None]).clip(-largest, largest)
    return integers.astype(np.int8).reshape(matrix.shape), scales


def restored(integers: NDArray[np.int8], scales: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the matrix that integers and scales represent."""
    groups = integers.reshape(*scales.shape, GROUP) * scales.astype(np.float32)[..., None]
    return groups.reshape(integers.shape)


def write_packed(path: Path, weights: Mapping[str, Floats | tuple[NDArray[np.int8], NDArray[np.float16], int]]) -> None:
    """Write weights by name, given as arrays or as (integers, scales, bits)."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - for training only

    tensors: dict[str, NDArray[np.generic]] = {}
    for name, value in weights.items():
        if isinstance(value, tuple):
            integers, scales, bits = value
            tensors[name + _SUFFIXES[bits]], tensors[name + _SCALE] = _packed(integers, bits), scales
        else:
            tensors[name] = np.ascontiguousarray(value)
    save_file(tensors, path, metadata={"format": "pt"})


def read_packed(path: Path) -> dict[str, Floats]:
    """Return all weights in a file by name, restoring rounded ones to single precision."""
    from safetensors.numpy import load_file  # noqa: PLC0415 - comes with the models

    tensors = load_file(path)
    weights: dict[str, Floats] = {}
    for name, value in tensors.items():
        stem, _, kind = name.rpartition(".")
        bits = next((bits for bits, suffix in _SUFFIXES.items() if suffix == f".{kind}"), None)
        if bits is not None:
            scales = tensors[stem + _SCALE]
            shape = len(scales), scales.shape[1] * GROUP
            weights[stem] = restored(_unpacked(value, bits, shape), scales)
        elif f".{kind}" != _SCALE:
            weights[name] = value
    return weights


def _packed(integers: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    per_word = _WORD // bits
    above_zero = integers.ravel().astype(np.uint32) + 2 ** (bits - 1)
    words = np.zeros(-(-integers.size // per_word), dtype=np.uint32)
    for place in range(per_word):
        numbers = above_zero[place::per_word] & (2**bits - 1)
        words[: len(numbers)] |= numbers << (_WORD - bits * (place + 1))
    return np.stack([words >> 16, words >> 8, words], axis=1).astype(np.uint8).ravel()


def _unpacked(packed: NDArray[np.uint8], bits: int, shape: tuple[int, int]) -> NDArray[np.int8]:
    per_word = _WORD // bits
    first, second, third = packed.reshape(-1, 3).T.astype(np.uint32)
    words = first << 16 | second << 8 | third
    numbers = np.empty((len(words), per_word), dtype=np.int8)
    for place in range(per_word):
        numbers[:, place] = words >> (_WORD - bits * (place + 1)) & (2**bits - 1)
    numbers -= 2 ** (bits - 1)
    return numbers.ravel()[: shape[0] * shape[1]].reshape(shape)
