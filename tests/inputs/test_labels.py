"""Classes of files from the names of folders, and from tables."""

import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.folder import Folder
from normdeploy.inputs.labels import folder_labels


def labels(tmp_path, *files, table=None):
    if table is not None:
        path = tmp_path / "labels.csv"
        path.write_text(table, encoding="utf-8")
        table = path
    return folder_labels(Folder(tmp_path, files, images=True, others=()), table)


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["7/a.png", "10/b.png", "7/c.png"], [7, 10, 7]),
        (["003/a.png"], [3]),
        (["dog/a.png", "cat/b.png", "cat/deep/c.png"], [1, 0, 0]),
        (["10/a.png", "9/b.png", "cat/c.png"], [0, 1, 2]),
        (["a.png", "b.png"], None),
        (["images/a.png", "images/b.png"], None),
    ],
)
def test_names_of_subfolders(tmp_path, files, classes):
    assert labels(tmp_path, *files) == classes


def test_names_are_numbered_as_torchvision_does(tmp_path):
    """datasets.folder.find_classes: sorted names, numbered from 0."""
    names = ["n02", "N03", "n010", "Ä", "a b"]
    files = [f"{name}/x.png" for name in names]
    assert labels(tmp_path, *files) == [sorted(names).index(name) for name in names]


def test_a_file_outside_the_classes(tmp_path):
    with pytest.raises(InputError, match=r"subfolders name classes \(0, \.\.\.\), and 'c\.png' is in none"):
        labels(tmp_path, "0/a.png", "1/b.png", "c.png")


@pytest.mark.parametrize(
    ("table", "classes"),
    [
        ("a.png,3\nb/c.png,0\n", [3, 0]),
        ("file,label\nb/c.png,0\n./a.png, 3\n\n", [3, 0]),
        ("\ufefffilename,class\na.png,dog\nb/c.png,cat\n", [1, 0]),
        ('"a.png","3"\r\n"b/c.png","4"\r\n', [3, 4]),
    ],
)
def test_tables(tmp_path, table, classes):
    assert labels(tmp_path, "a.png", "b/c.png", table=table) == classes


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a.png,3\n", r"no class for 'b\.png' \(1 of 2 are missing\)"),
        ("a.png,3\nb.png,1\nz.png,0\n", r"labels\.csv:3: there is no 'z\.png' in"),
        ("a.png,3\na.png,3\nb.png,1\n", r"labels\.csv:2: 'a\.png' is there twice"),
        ("a.png,3,4\n", "expected a file and its class, got 3 columns"),
        ("a.png,\nb.png,1", "'a.png' has no class"),
        ("", r"no class for 'a\.png'"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, table, message):
    with pytest.raises(InputError, match=message):
        labels(tmp_path, "a.png", "b.png", table=table)


def test_tables_that_cannot_be_read(tmp_path):
    folder = Folder(tmp_path, ["a.png"], images=True, others=())
    with pytest.raises(InputError, match=r"no\.csv: cannot be read \(No such file"):
        folder_labels(folder, tmp_path / "no.csv")
    with pytest.raises(InputError, match="not a file"):
        folder_labels(folder, tmp_path)
    (tmp_path / "latin.csv").write_bytes("ä.png,1".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.csv: not a CSV file in UTF-8"):
        folder_labels(folder, tmp_path / "latin.csv")
