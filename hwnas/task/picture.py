"""One picture file as raw network input."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_picture(path: Path, channels: int, height: int, width: int) -> np.ndarray:
    """Resized (bilinear, shorter side) and centre-cropped, uint8 ``[channels, height, width]``.

    One channel is grey, three are RGB; a photograph is turned upright first. Raises OSError or
    ValueError for what is no readable picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I;16"):  # PIL would clip 16 bits instead of scaling them
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            image = image.convert("L" if channels == 1 else "RGB")
    except (SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: {error}") from error
    image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1))
