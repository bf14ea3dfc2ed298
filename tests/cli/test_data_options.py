"""`check --data` with images, shards and functions, `--map`, and gates."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from normdeploy.cli.data_options import channel_numbers, image_size
from tests.builders import classifier, conv_lrn, parsed

DIGITS = Path(__file__).parents[2] / "models" / "digits"
MODEL = (DIGITS / "digits.onnx", "--reference", DIGITS / "original.onnx", "--backend", "onnxruntime")


@pytest.fixture(scope="module")
def held_out():
    """scikit-learn's digits as the network was held against: grey values of 0 to 16, as sixteenths."""
    return np.load(DIGITS / "heldout.npz")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, held_out):
    """The same as PNG files in folders of their classes, and a table of them in the order of the .npz."""
    image_module = pytest.importorskip("PIL.Image", reason="the extra images")
    folder = tmp_path_factory.mktemp("digits")
    table = []
    for index, (image, label) in enumerate(zip(held_out["image"], held_out["labels"], strict=True)):
        values = image[0] * 16
        assert (values == values.round()).all()
        (folder / "ordered").mkdir(exist_ok=True)
        (folder / "classes" / str(label)).mkdir(parents=True, exist_ok=True)
        picture = image_module.fromarray(values.astype(np.uint8))
        picture.save(folder / "ordered" / f"{index:04}.png")
        picture.save(folder / "classes" / str(label) / f"{index:04}.png")
        table.append(f"{index:04}.png,{label}\n")
    (folder / "labels.csv").write_text("".join(table))
    return folder


def report(run, tmp_path, *arguments):
    """The JSON of a check."""
    target = tmp_path / "report.json"
    outcome = run("check", *arguments, "--json", target)
    assert outcome.code in (0, 1), outcome.err
    return json.loads(target.read_text())


def test_a_folder_of_images_gives_what_the_arrays_give(run, tmp_path, pictures):
    """Bit for bit, every number of the report."""
    expected = report(run, tmp_path, *MODEL, "--data", DIGITS / "heldout.npz")
    ordered = ("--data", pictures / "ordered", "--labels", pictures / "labels.csv", "--std", 16)
    found = report(run, tmp_path, *MODEL, *ordered)
    assert found == expected
    assert found["samples"] == 450
    assert found["reference_accuracy"] == pytest.approx(0.9933, abs=1e-4)


def test_folders_of_classes_give_the_same_accuracy(run, tmp_path, pictures):
    found = report(run, tmp_path, *MODEL, "--data", pictures / "classes", "--std", 16)
    assert (found["samples"], found["verdict"], found["remarks"]) == (450, "pass", [])
    assert found["reference_accuracy"] == found["backends"][0]["accuracy"] == pytest.approx(0.9933, abs=1e-4)


def test_a_function_and_a_factory_give_the_same(run, tmp_path, pictures):
    expected = report(run, tmp_path, *MODEL, "--data", DIGITS / "heldout.npz")
    code = tmp_path / "mine.py"
    code.write_text(
        "import numpy as np\n"
        "def scale(image):\n"
        "    return image[np.newaxis, :, :, 0].astype(np.float32) / 16\n"
        "def load():\n"
        f"    data = np.load({str(DIGITS / 'heldout.npz')!r})\n"
        "    for image, label in zip(data['image'], data['labels']):\n"
        "        yield {'image': image, 'labels': label}\n"
    )
    ordered = ("--data", pictures / "ordered", "--labels", pictures / "labels.csv")
    assert report(run, tmp_path, *MODEL, *ordered, "--preprocess", f"{code}:scale") == expected
    assert report(run, tmp_path, *MODEL, "--data", f"{code}:load") == expected


def test_unscaled_images_are_remarked_on(run, tmp_path, pictures):
    outcome = run("check", *MODEL, "--data", pictures / "ordered", "--samples", 3)
    assert "note: images are given as numbers from 0 to 255 (grey): --mean and --std" in outcome.out


def test_npy_and_shards(run, tmp_path, held_out):
    np.save(tmp_path / "x.npy", held_out["image"][:70])
    (tmp_path / "shards").mkdir()
    for index in range(2):
        rows = slice(64 * index, 64 + 6 * index)
        np.save(tmp_path / "shards" / f"{index}.npy", held_out["image"][rows])
    found = report(run, tmp_path, *MODEL, "--data", tmp_path / "x.npy")
    assert found == report(run, tmp_path, *MODEL, "--data", tmp_path / "shards")
    assert found["samples"] == 70


def test_inspect_takes_the_same(run, pictures):
    outcome = run(
        "inspect", DIGITS / "digits.onnx", "--data", pictures / "ordered", "--std", 16, "--json", "-"
    )
    assert len(json.loads(outcome.out)["half_precision"]) == 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--std", "sixteen"], ["'sixteen' is not numbers with commas"]),
        (["--std", "0"], ["std must not be 0"]),
        (["--resize", "8x"], ["'8x' is not N or HEIGHTxWIDTH"]),
        (
            ["--resize", "9"],
            ["0000.png: is 9x9 (height x width), and the model takes 8x8: pass --resize 8x8"],
        ),
        (["--mean", "1", "--preprocess", "a.py:f"], ["--preprocess and --mean exclude each other"]),
        (["--preprocess", "no.py:f"], ["no.py: no such file"]),
        (["--labels", "no.csv"], ["no.csv: cannot be read"]),
        (["--layout", "nhwc"], ["with 8 channels in nhwc"]),
    ],
)
def test_options_that_do_not_fit(run, pictures, arguments, parts):
    outcome = run("check", *MODEL, "--data", pictures / "ordered", *arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err


def test_options_without_data_are_refused(run, good):
    run("check", good, "--std", "255").assert_refused("give --data too")


def test_a_users_error_is_one_line_with_its_place(run, pictures, tmp_path):
    code = tmp_path / "mine.py"
    code.write_text("def scale(image):\n    return image.mean(axis=9)\n")
    outcome = run("check", *MODEL, "--data", pictures / "ordered", "--preprocess", f"{code}:scale")
    outcome.assert_refused("mine.py:2: preprocessing ", "0000.png failed: AxisError: axis 9 is out of bounds")


def test_sizes_and_numbers():
    assert (image_size("256"), image_size("224x336")) == (256, (224, 336))
    assert channel_numbers("123.7,116.3,-1e2") == (123.7, 116.3, -100.0)


def renamed(tmp_path, output):
    model = conv_lrn()
    model.graph.output[0].name = model.graph.node[1].output[0] = output
    onnx.save(model, tmp_path / f"{output}.onnx")
    return tmp_path / f"{output}.onnx"


def test_one_output_of_another_name_is_matched_with_a_note(run, good, tmp_path):
    found = report(run, tmp_path, renamed(tmp_path, "z"), "--reference", good, "--backend", "onnxruntime")
    assert found["verdict"] == "pass"
    assert found["backends"][0]["outputs"][0]["name"] == "z"
    assert found["remarks"] == ["output 'z' stands for 'y' of the reference"]
    with_map = (renamed(tmp_path, "z"), "--reference", good, "--backend", "onnxruntime", "--map", "z=y")
    assert report(run, tmp_path, *with_map) == found


def test_maps_that_do_not_fit(run, good, tmp_path):
    with_reference = ("check", renamed(tmp_path, "z"), "--reference", good)
    run(*with_reference, "--map", "z=q").assert_refused("'z=q' is no pair of inputs or outputs")
    run(*with_reference, "--map", "z=y", "--map", "z=x").assert_refused("--map is given twice for 'z'")
    run("check", good, "--map", "y=z").assert_refused("give --reference too")
    assert run(*with_reference, "--map", "z").code == 2


@pytest.fixture
def flipping(tmp_path):
    """A classifier that exchanges two of four classes, its reference, and two samples of each."""
    onnx.save(classifier(), tmp_path / "right.onnx")
    wrong = classifier()
    weights = np.eye(6, 4, dtype=np.float32)[:, [1, 0, 2, 3]]
    wrong.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(wrong, tmp_path / "wrong.onnx")
    x = np.repeat(np.eye(4, 6, dtype=np.float32), 2, axis=0)
    np.savez(tmp_path / "unlabelled.npz", x=x)
    np.savez(tmp_path / "labelled.npz", x=x, labels=np.repeat(np.arange(4), 2))
    return tmp_path


@pytest.mark.parametrize(
    ("data", "gate", "code", "line"),
    [
        ("unlabelled", ["--max-flips", 4], 0, "onnxruntime pass: the gate is met, though numbers differ"),
        (
            "unlabelled",
            ["--max-flips", 3],
            1,
            "4 of 8 samples flip, and at most 3 may; output 'scores': 8 of 32",
        ),
        ("unlabelled", ["--max-flips", "50%"], 0, "gate of at most 50% flips for onnxruntime: met"),
        ("unlabelled", ["--max-flips", "49%"], 1, "at most 49% (3 samples) may"),
        ("labelled", ["--max-accuracy-drop", 0.5], 0, "accuracy of onnxruntime: 50.00%, flips: 4"),
        ("labelled", ["--max-accuracy-drop", 0.49], 1, "the accuracy drops by 0.5, from 100.00% to 50.00%"),
        ("labelled", [], 1, "onnxruntime mismatch: output 'scores': 8 of 32 elements are wrong"),
    ],
)
def test_gates_decide(run, flipping, data, gate, code, line):
    outcome = run("check", flipping / "wrong.onnx", "--reference", flipping / "right.onnx",
                  "--backend", "onnxruntime", "--data", flipping / f"{data}.npz", *gate)  # fmt: skip
    assert outcome.code == code, outcome.out + outcome.err
    assert line in outcome.out


def test_gates_that_cannot_be_judged(run, flipping, good):
    model = flipping / "right.onnx"
    run("check", model, "--data", flipping / "unlabelled.npz", "--max-accuracy-drop", 0).assert_refused(
        "max accuracy drop needs data with labels"
    )
    run("check", model, "--max-flips", "few").assert_refused(
        "max flips is a number of samples or a percentage"
    )


def all_renamed(tmp_path):
    """A model of two inputs and two outputs, and its original, which has other names and another order."""

    files = {
        "new.onnx": "g (float[N, 2] a, float[N, 2] b) => (float[N, 2] sum, float[N, 2] minus) "
        "{ sum = Add (a, b) minus = Sub (a, b) }",
        "old.onnx": "g (float[N, 2] c, float[N, 2] d) => (float[N, 2] less, float[N, 2] more) "
        "{ less = Sub (c, d) more = Add (c, d) }",
    }
    for name, text in files.items():
        onnx.save(parsed(text), tmp_path / name)
    names = [part for pair in ("a=c", "b=d", "sum=more", "minus=less") for part in ("--map", pair)]
    return (tmp_path / "new.onnx", "--reference", tmp_path / "old.onnx", "--backend", "onnxruntime", *names)


def test_data_may_have_the_names_of_either_model(run, tmp_path):
    """However it is given; float64 is cast."""
    model = all_renamed(tmp_path)
    arrays = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    code = tmp_path / "mine.py"
    code.write_text(
        "import numpy as np\n"
        "def load():\n    yield dict(c=np.ones(2), d=np.zeros(2))\n"
        "def same(arrays):\n    return {'c': arrays['a'], 'd': arrays['b']}\n"
    )
    for names in (("a", "b"), ("c", "d")):
        np.savez(tmp_path / f"{names[0]}.npz", **dict(zip(names, arrays, strict=True)))
    expected = report(run, tmp_path, *model, "--data", tmp_path / "a.npz")
    assert [output["name"] for output in expected["backends"][0]["outputs"]] == ["sum", "minus"]
    assert "the data of 'a' is cast from float64 to float32" in expected["remarks"]
    assert report(run, tmp_path, *model, "--data", tmp_path / "c.npz") == expected
    preprocessed = ("--data", tmp_path / "a.npz", "--preprocess", f"{code}:same")
    assert report(run, tmp_path, *model, *preprocessed) == expected
    assert report(run, tmp_path, *model, "--data", f"{code}:load")["verdict"] == "pass"
