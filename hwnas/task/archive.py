"""Image sets in one .npz file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.task.location import expand

Part = Literal["train", "test"]
Shape = tuple[int, int, int]
HINT = (
    "Allowed: an .npz with x_train, y_train, x_test, y_test (uint8 images, integer labels), or "
    "with train_jpeg, train_offset, y_train, test_jpeg, test_offset, y_test, where image i is "
    "the bytes jpeg[offset[i]:offset[i + 1]]."
)


@dataclass(frozen=True)
class Images:
    """Labels ``y`` int64 ``[n]``; ``take(rows)`` are images uint8 ``[rows, *shape]``."""

    y: np.ndarray
    take: Callable[[np.ndarray], np.ndarray]


def read_archive(file: str, shape: Shape) -> dict[Part, Images]:
    """The train and test set of an .npz; JPEGs are decoded only when taken.

    ``shape`` is (channels, height, width); arrays may have channels last or none if one. Raises
    :class:`HwnasError` naming ``task.file`` for a file that is missing, broken or of other shape.
    """
    arrays = _arrays(file)
    jpeg = "x_train" not in arrays and "train_jpeg" in arrays
    read = _jpegs if jpeg else _pixels
    return {"train": read(arrays, "train", shape), "test": read(arrays, "test", shape)}


def channels_first(x: np.ndarray, shape: Shape) -> np.ndarray | None:
    """Images of any usual layout as ``[n, *shape]``, or None if they do not fit ``shape``."""
    channels, height, width = shape
    if x.shape[1:] == shape:
        return x
    if x.shape[1:] == (height, width, channels):
        return x.transpose(0, 3, 1, 2)
    if channels == 1 and x.shape[1:] == (height, width):
        return x[:, None]
    return None


def _arrays(file: str) -> Mapping[str, np.ndarray]:
    """Every array of the file."""
    import zlib
    from zipfile import BadZipFile

    path = expand(file)
    if not path.is_file():
        raise HwnasError(f"task.file: there is no file {path} (got {file!r}).", HINT)
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile, zlib.error) as e:
        raise HwnasError(f"task.file: {path} cannot be read as .npz: {e}", HINT) from None


def _get(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        has = ", ".join(arrays) or "none"
        raise HwnasError(f"task.file: the array {name} is missing; it has {has}.", HINT)
    return arrays[name]


def _labels(arrays: Mapping[str, np.ndarray], part: Part, n: int) -> np.ndarray:
    name = f"y_{part}"
    y = _get(arrays, name)
    if y.shape not in ((n,), (n, 1)) or y.dtype.kind not in "iu":
        raise HwnasError(
            f"task.file: {name} is {y.dtype} {list(y.shape)} for {n} images.",
            f"Allowed: integers [{n}], one label an image.",
        )
    return y.reshape(-1).astype(np.int64)


def _pixels(arrays: Mapping[str, np.ndarray], part: Part, shape: Shape) -> Images:
    name = f"x_{part}"
    raw = _get(arrays, name)
    x = channels_first(raw, shape) if raw.dtype == np.uint8 else None
    if x is None:
        channels, height, width = shape
        raise HwnasError(
            f"task.file: {name} is {raw.dtype} {list(raw.shape)}.",
            f"Allowed: uint8 [n, {height}, {width}, {channels}] or [n, {channels}, {height}, "
            f"{width}]{f' or [n, {height}, {width}]' if channels == 1 else ''}.",
        )
    return Images(_labels(arrays, part, len(x)), lambda rows: x[rows])


def _jpegs(arrays: Mapping[str, np.ndarray], part: Part, shape: Shape) -> Images:
    jpeg, offset = _get(arrays, f"{part}_jpeg"), _get(arrays, f"{part}_offset")
    fits = (
        jpeg.ndim == offset.ndim == 1
        and jpeg.dtype == np.uint8
        and offset.dtype.kind in "iu"
        and len(offset) > 0
        and int(offset[0]) >= 0
        and int(offset[-1]) <= len(jpeg)
        and bool(np.all(offset[1:] > offset[:-1]))
    )
    if not fits:
        raise HwnasError(f"task.file: {part}_offset does not cut {part}_jpeg into images.", HINT)
    y = _labels(arrays, part, len(offset) - 1)
    return Images(y, lambda rows: _decode(jpeg, offset, rows, shape, part))


def _decode(
    jpeg: np.ndarray, offset: np.ndarray, rows: np.ndarray, shape: Shape, part: Part
) -> np.ndarray:
    """Images ``rows``, uint8 ``[len(rows), *shape]``."""
    from io import BytesIO

    from PIL import Image

    channels, height, width = shape
    x = np.empty((len(rows), *shape), dtype=np.uint8)
    for at, row in enumerate(rows):
        try:
            content = BytesIO(jpeg[offset[row] : offset[row + 1]].tobytes())
            with Image.open(content, formats=("JPEG",)) as image:
                pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise HwnasError(
                f"task.file: image {row} of {part}_jpeg cannot be decoded: {error}", HINT
            ) from None
        if pixels.shape[:2] != (height, width):
            raise HwnasError(
                f"task.file: image {row} of {part}_jpeg is {list(pixels.shape[:2])}.",
                f"Allowed: {[height, width]} (height, width).",
            )
        x[at] = np.atleast_3d(pixels).transpose(2, 0, 1)
    return x
