"""Images as a model takes them, of files that Pillow writes here."""

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="images need Pillow: pip install 'normdeploy[images]'")

from ml_dtypes import bfloat16  # noqa: E402

from normdeploy.errors import InputError, UsageError  # noqa: E402
from normdeploy.inputs.declared import DeclaredInput  # noqa: E402
from normdeploy.inputs.images import ImageOptions, ImageReader, read_rgb  # noqa: E402


def declared(*dims, dtype=np.float32):
    return DeclaredInput("x", np.dtype(dtype), dims)


RGB = declared("N", 3, "H", "W")


def pixels(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def saved(path, array, **options):
    Image.fromarray(array.squeeze()).save(path, **options)
    return path


def read(path, model=RGB, **options):
    return ImageReader(model, ImageOptions(**options)).read(path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tiff", "webp"])
def test_pixels_are_numbers_from_0_to_255_in_rgb(tmp_path, suffix):
    image = pixels(5, 7)
    path = saved(tmp_path / f"x.{suffix}", image, **({"lossless": True} if suffix == "webp" else {}))
    found = read(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, image.transpose(2, 0, 1))


def test_grey_for_one_channel(tmp_path):
    image = pixels(5, 7, 1)
    assert np.array_equal(read(saved(tmp_path / "x.png", image), declared("N", 1, 5, 7))[0], image[..., 0])
    colour = pixels(5, 7)
    grey = read(saved(tmp_path / "y.png", colour), declared("N", 1, 5, 7))[0]
    assert np.abs(grey - colour @ [0.299, 0.587, 0.114]).max() <= 1, "ITU-R 601 luma, as Pillow has it"


def test_transparency_and_palettes_become_rgb(tmp_path):
    image = pixels(4, 4, 4)
    assert np.array_equal(read(saved(tmp_path / "x.png", image)), image[..., :3].transpose(2, 0, 1))
    path = tmp_path / "p.gif"
    Image.fromarray(np.zeros((4, 4), np.uint8)).convert("P").save(path)
    assert read(path).shape == (3, 4, 4)


def test_the_exif_orientation_is_applied(tmp_path):
    image = pixels(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    path = saved(tmp_path / "x.png", image, exif=exif)
    assert np.array_equal(read(path), np.rot90(image, -1).transpose(2, 0, 1))
    assert np.array_equal(read_rgb(path), np.rot90(image, -1))


def test_mean_and_std_of_each_channel(tmp_path):
    image = pixels(5, 7)
    path = saved(tmp_path / "x.png", image)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    wide = (image.astype(np.float64) - mean) / std
    assert np.allclose(read(path, mean=mean, std=std), wide.transpose(2, 0, 1), atol=1e-6)
    assert np.array_equal(read(path, std=(255.0,)), (image / np.float32(255)).transpose(2, 0, 1))


def test_layouts(tmp_path):
    image = pixels(5, 7)
    path = saved(tmp_path / "x.png", image)
    assert np.array_equal(read(path, declared("N", "H", "W", 3)), image)
    assert np.array_equal(read(path, declared("N", None, None, None), layout="nhwc"), image)
    assert read(saved(tmp_path / "s.png", pixels(3, 3)), declared(1, 3, 3, 3), layout="nhwc").shape == (
        3,
        3,
        3,
    )
    with pytest.raises(
        InputError, match="does not tell where the channels are: pass --layout nchw or --layout nhwc"
    ):
        read(path, declared("N", 3, 5, 3))
    with pytest.raises(InputError, match="with 4 channels in nchw: images have 1 or 3"):
        read(path, declared("N", 4, 5, 7), layout="nchw")


@pytest.mark.parametrize(("dtype", "given"), [(np.uint8, np.uint8), (np.float64, np.float64),
                                              (np.float16, np.float32), (bfloat16, np.float32)])  # fmt: skip
def test_types(tmp_path, dtype, given):
    found = read(saved(tmp_path / "x.png", pixels(5, 7)), declared("N", 3, 5, 7, dtype=dtype))
    assert found.dtype == given, "what is short is cast later, with a remark"


def test_resizing_and_cropping_are_those_of_torchvision(tmp_path):
    """Resize(6) and CenterCrop(5): the shorter side to 6, the longer cut to a whole number, bilinear."""
    image = pixels(16, 25)
    path = saved(tmp_path / "x.png", image)
    whole = read(path, resize=6)
    assert whole.shape == (3, 6, 9), "6 * 25 / 16 = 9.4"
    expected = np.asarray(Image.fromarray(image).resize((9, 6), Image.Resampling.BILINEAR))
    assert np.array_equal(whole, expected.transpose(2, 0, 1))
    assert np.array_equal(read(path, resize=6, crop=4), whole[:, 1:5, 2:6]), "(9 - 4) / 2 rounds to even"
    assert read(path, resize=(8, 5)).shape == (3, 8, 5)
    assert np.array_equal(read(path, crop=(2, 25)), image[7:9].transpose(2, 0, 1))


def test_sizes_have_to_fit(tmp_path):
    small, large = saved(tmp_path / "a.png", pixels(5, 7)), saved(tmp_path / "b.png", pixels(6, 7))
    with pytest.raises(
        InputError, match=r"a\.png: is 5x7 \(height x width\), and the model takes 8x7: pass --resize 8x7"
    ):
        read(small, declared("N", 3, 8, "W"))
    reader = ImageReader(RGB, ImageOptions())
    reader.read(small)
    with pytest.raises(InputError, match=r"b\.png: is 6x7 .*a\.png is 5x7: pass --resize HxW"):
        reader.read(large)
    with pytest.raises(InputError, match=r"is 5x7 .* where 6x6 is to be cut out"):
        read(small, crop=6)


def test_what_is_no_image(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("no image")
    with pytest.raises(InputError, match=r"x\.png: cannot be read as an image \(no image of a known type\)"):
        read(path)
    with pytest.raises(InputError, match=r"no\.png: cannot be read as an image"):
        read(tmp_path / "no.png")
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(InputError, match="no image of a known type"):
        read(path)


def test_every_truncation_and_flipped_byte_is_an_error_or_harmless(tmp_path):
    for suffix in ("png", "jpg", "gif", "tiff", "webp", "bmp"):
        path = saved(tmp_path / f"x.{suffix}", pixels(4, 4))
        whole = path.read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 60)):
            flipped = bytearray(whole)
            flipped[position] ^= 0xFF
            for damaged in (whole[:position], bytes(flipped)):
                path.write_bytes(damaged)
                try:
                    read(path)
                except InputError as error:
                    assert "\n" not in str(error)  # noqa: PT017
                    assert path.name in str(error)  # noqa: PT017


def test_decompression_bombs_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (12000, 12000)).save(path)
    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match=r"bomb\.png: too large an image"):
        read(path)


def test_deep_images_are_refused(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(path)
    with pytest.raises(InputError, match=r"more than 8 bits a channel \(I;16\): give it as an \.npy file"):
        read(path)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (declared("N", 1, 4, 4), {"mean": (1.0, 2.0, 3.0)}, "3 numbers, and the model takes 1 channel"),
        (RGB, {"std": (0.0,)}, "std must not be 0"),
        (RGB, {"mean": (1.0, 2.0)}, "mean takes one number or three"),
        (RGB, {"mean": (float("nan"),)}, "mean takes one number or three"),
        (RGB, {"resize": 0}, "resize must be at least 1"),
        (RGB, {"layout": "chw"}, "layout is nchw or nhwc"),
        (RGB, {"resize": (10**6, 10**6)}, "give a smaller size"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(tmp_path, model, options, message):
    with pytest.raises(UsageError, match=message):
        read(saved(tmp_path / "x.png", pixels(4, 4)), model, **options)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (declared("N", 64), {}, r"images need \[N, C, H, W\]"),
        (DeclaredInput("x", np.dtype(np.float32), None), {}, "images need"),
        (declared("N", 3, 4, 4, dtype=np.int64), {}, "which holds no images"),
        (declared("N", 3, 4, 4, dtype=np.uint8), {"std": (255.0,)}, "holds no images after mean and std"),
    ],
)
def test_inputs_that_take_no_images(tmp_path, model, options, message):
    with pytest.raises(InputError, match=message):
        read(saved(tmp_path / "x.png", pixels(4, 4)), model, **options)


def test_a_remark_says_that_nothing_is_scaled():
    assert "numbers from 0 to 255 (RGB)" in ImageReader(RGB, ImageOptions(resize=4)).remarks()[0]
    assert ImageReader(RGB, ImageOptions(std=(255.0,))).remarks() == []
    assert ImageReader(declared("N", 3, 4, 4, dtype=np.uint8), ImageOptions()).remarks() == []
