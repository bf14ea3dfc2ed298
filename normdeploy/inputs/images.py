"""Images for a network: read by Pillow, scaled, cut, normalized and laid out as the model declares."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from normdeploy.dtypes import Array, is_floating
from normdeploy.errors import InputError, MissingDependencyError, UsageError
from normdeploy.inputs.declared import DeclaredInput

if TYPE_CHECKING:
    from PIL.Image import Image

Layout = Literal["nchw", "nhwc"]

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What Pillow may open: no format whose reader starts another program, as that of EPS does."""

_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""More than 8 bits a channel, which a conversion to grey or RGB would clip."""


@dataclass(frozen=True)
class ImageOptions:
    """What becomes of an image on its way into a model, in this order.

    Args:
        resize: the length of the shorter side, or (height, width); bilinear, with antialiasing.
        crop: a square's side, or (height, width), cut from the centre.
        mean, std: a number for all channels or one for each, in the order R, G, B: x becomes
            (x − mean) / std, where x is 0 to 255.
        layout: "nchw" or "nhwc"; by default what the model's declared shape tells.

    Raises:
        UsageError: a size below 1, a number that is not finite, or a std of 0.
    """

    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    layout: Layout | None = None

    def __post_init__(self) -> None:
        for name, size in (("resize", self.resize), ("crop", self.crop)):
            if size is not None and min(_pair(size)) < 1:
                raise UsageError(f"{name} must be at least 1, got {size}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and not (len(values) in (1, 3) and all(map(math.isfinite, values))):
                raise UsageError(f"{name} takes one number or three, got {list(values)}")
        if self.std is not None and 0 in self.std:
            raise UsageError("std must not be 0")
        if self.layout not in (None, "nchw", "nhwc"):
            raise UsageError(f"layout is nchw or nhwc, got '{self.layout}'")


class ImageReader:
    """Gives images as one model takes them.

    Args:
        declared: the model's only input.
        options: what becomes of each image.

    Raises:
        InputError: an input that takes no images, or whose layout has to be told.
        UsageError: options that do not fit it.
        MissingDependencyError: Pillow is not installed.
    """

    def __init__(self, declared: DeclaredInput, options: ImageOptions) -> None:
        require_pillow()
        self._declared, self._options = declared, options
        self._layout, self._channels, self._size = _geometry(declared, options.layout)
        self._seen: tuple[str, tuple[int, int]] | None = None
        for name, values in (("mean", options.mean), ("std", options.std)):
            if values is not None and len(values) not in (1, self._channels):
                raise UsageError(
                    f"{name} has {len(values)} numbers, and the model takes {self._channels} channel"
                )
        if not is_floating(declared.dtype) and (declared.dtype != np.uint8 or options.mean or options.std):
            scaled = " after mean and std" if options.mean or options.std else ""
            raise InputError(f"input '{declared.name}' is {declared}, which holds no images{scaled}")

    def remarks(self) -> list[str]:
        """What is not done to the images, in a line, where a network may need it."""
        if (
            self._options.mean is not None
            or self._options.std is not None
            or self._declared.dtype == np.uint8
        ):
            return []
        return [
            f"images are given as numbers from 0 to 255 ({'RGB' if self._channels == 3 else 'grey'}): "
            "--mean and --std, or --preprocess, scale them as the network was trained"
        ]

    def read(self, path: Path) -> Array:
        """One image without a batch axis: of the declared type, or float32 where that is a short one.

        Args:
            path: of the file.

        Raises:
            InputError: a file that is no image, a damaged or deep one, or one of another size.
        """
        image = _opened(path, "RGB" if self._channels == 3 else "L")
        image = _cropped(_resized(image, self._options.resize), self._options.crop, path)
        self._require_size(path, (image.height, image.width))
        pixels: Array = np.asarray(image).reshape(image.height, image.width, self._channels)
        if is_floating(self._declared.dtype):
            pixels = self._normalized(pixels.astype(np.float32))
        return pixels.transpose(2, 0, 1) if self._layout == "nchw" else pixels

    def _normalized(self, pixels: Array) -> Array:
        if self._options.mean is not None:
            pixels = pixels - np.asarray(self._options.mean, np.float32)
        if self._options.std is not None:
            pixels = pixels / np.asarray(self._options.std, np.float32)
        wide = self._declared.dtype.itemsize > 4
        return pixels.astype(self._declared.dtype) if wide else pixels

    def _require_size(self, path: Path, size: tuple[int, int]) -> None:
        wanted = tuple(
            want if isinstance(want, int) else have for want, have in zip(self._size, size, strict=True)
        )
        if wanted != size:
            raise InputError(
                f"{path}: is {_text(size)} (height x width), and the model takes {_text(wanted)}: pass "
                f"--resize {_text(wanted)}, or --resize and --crop"
            )
        first, other = self._seen = self._seen or (str(path), size)
        if other != size:
            raise InputError(
                f"{path}: is {_text(size)} (height x width), and {first} is {_text(other)}: pass --resize HxW"
            )


def read_rgb(path: Path) -> Array:
    """An image for a user's own function.

    Args:
        path: of the file.

    Returns:
        uint8 [height, width, 3], in RGB, turned as its EXIF orientation says.

    Raises:
        InputError: a file that is no image, a damaged or deep one.
        MissingDependencyError: Pillow is not installed.
    """
    require_pillow()
    return np.array(_opened(path, "RGB"))


def require_pillow() -> None:
    """Check that Pillow is there.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import PIL.Image
        import PIL.ImageOps  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("Pillow", "images") from error


def _opened(path: Path, mode: str) -> Image:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                if image.mode in _DEEP_MODES:
                    raise InputError(
                        f"{path}: has more than 8 bits a channel ({image.mode}): give it as an .npy file"
                    )
                return ImageOps.exif_transpose(image).convert(mode)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path}: too large an image: {error}") from error
    except Exception as error:  # Pillow's readers raise many types
        reason = "no image of a known type" if isinstance(error, UnidentifiedImageError) else str(error)
        reason = " ".join(reason.split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as an image ({reason})") from error


def _resized(image: Image, size: int | tuple[int, int] | None) -> Image:
    from PIL.Image import Resampling

    if size is None:
        return image
    if isinstance(size, tuple):
        height, width = size
    else:  # the longer side is cut off to a whole number, as torchvision's Resize does
        short = min(image.size)
        width, height = (max(1, size * side // short) for side in image.size)
    if width * height > 2**27:
        raise UsageError(f"resize would make an image of {height}x{width}: give a smaller size")
    return image.resize((width, height), Resampling.BILINEAR)


def _cropped(image: Image, size: int | tuple[int, int] | None, path: Path) -> Image:
    if size is None:
        return image
    height, width = _pair(size)
    if height > image.height or width > image.width:
        raise InputError(
            f"{path}: is {image.height}x{image.width} (height x width) where {height}x{width} is to be cut "
            "out: resize it to more"
        )
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))


def _geometry(
    declared: DeclaredInput, layout: Layout | None
) -> tuple[Layout, int, tuple[int | str | None, int | str | None]]:
    """Where the channels stand, how many there are, and the height and width, as far as they are declared."""
    dims = declared.dims
    if dims is None or len(dims) != 4:
        raise InputError(
            f"input '{declared.name}' is {declared}, and images need [N, C, H, W] or [N, H, W, C]: give "
            "the arrays as .npy or .npz"
        )
    axes: dict[Layout, int] = {"nchw": 1, "nhwc": 3}
    if layout is None:
        fitting = [name for name, axis in axes.items() if dims[axis] in (1, 3)]
        if len(fitting) != 1:
            raise InputError(
                f"input '{declared.name}' is {declared}, which does not tell where the channels are: pass "
                "--layout nchw or --layout nhwc"
            )
        (layout,) = fitting
    channels = dims[axes[layout]]
    if isinstance(channels, int) and channels not in (1, 3):
        raise InputError(
            f"input '{declared.name}' is {declared}, with {channels} channels in {layout}: images have 1 or 3"
        )
    height, width = dims[2:] if layout == "nchw" else dims[1:3]
    return layout, channels if isinstance(channels, int) else 3, (height, width)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _text(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
