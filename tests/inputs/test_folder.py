"""What is in a folder of data."""

import os

import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.folder import read_folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_images_in_the_order_of_their_names(tmp_path):
    found = read_folder(
        touch(tmp_path, "b/2.PNG", "b/10.png", "a/x.jpeg", "c.webp", "notes.txt", ".hidden.png")
    )
    assert found.files == ["a/x.jpeg", "b/10.png", "b/2.PNG", "c.webp"]
    assert found.images
    assert found.others == ["notes.txt"]
    assert found.remarks() == [f"{tmp_path}: a file of another type is left out: notes.txt"]
    assert found.remarks(tmp_path / "notes.txt") == []


def test_pipes_are_no_data(tmp_path):
    os.mkfifo(touch(tmp_path, "a.png", "b.png", "notes.txt", "more.md") / "0.png")
    found = read_folder(tmp_path)
    assert found.files == ["a.png", "b.png"]
    assert found.remarks() == [f"{tmp_path}: 2 files of other types are left out: more.md, notes.txt"]


def test_shards(tmp_path):
    found = read_folder(touch(tmp_path, "1.npz", "0.npy"))
    assert (found.files, found.images, found.remarks()) == (["0.npy", "1.npz"], False, [])


def test_hidden_folders_are_passed_over(tmp_path):
    assert read_folder(touch(tmp_path, "a.png", ".git/b.png")).files == ["a.png"]


def test_links_to_folders_are_not_followed(tmp_path):
    touch(tmp_path, "data/a.png")
    (tmp_path / "data" / "again").symlink_to(tmp_path / "data")
    assert read_folder(tmp_path / "data").files == ["a.png"]


def test_both_kinds_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"images and arrays both \(a\.png, b\.npz\)"):
        read_folder(touch(tmp_path, "a.png", "b.npz"))


def test_no_data_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no data: none of its 1 files ends in \.npz"):
        read_folder(touch(tmp_path, "a.txt"))
