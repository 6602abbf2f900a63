from __future__ import annotations

import os
from pathlib import Path

import pytest

from surveil.messages import AssessmentRequest, Facts, Level
from surveil.store.evidence import EvidenceFolder
from surveil.store.tree import EvidenceTree, Holding, Shelf
from tests.deliver.test_wire import ALERT

SHELF = Shelf("2000/01/01", "front")


@pytest.fixture
def tree(tmp_path: Path) -> EvidenceTree:
    return EvidenceTree(tmp_path)


def written(root: Path, *endings: str) -> Path:
    folder = root / "front/2000/01/01"
    folder.mkdir(parents=True, exist_ok=True)
    for ending in endings:
        (folder / f"{ALERT.id}{ending}").write_bytes(b"12345")
    return folder


def test_it_finds_what_the_others_write(tree: EvidenceTree) -> None:
    folder = EvidenceFolder(tree.root)
    folder.save_snapshot(ALERT, b"12345")
    request = AssessmentRequest(ALERT.id, "front", Level.low, 0, 9, (), Facts("", "", "", ()))
    folder.save_keyframe(request, 4, b"123")
    written(tree.root, ".mp4", ".mp4.part", ".mp4.tmp", ".part", ".1.part")
    assert tree.shelves() == [SHELF]
    assert tree.shelf("front", ALERT.id) == SHELF
    (files,) = tree.listing(SHELF).values()
    whole = {file.name.removeprefix(ALERT.id): file.bytes for file in files if file.whole}
    assert whole == {".jpg": 5, ".4.jpg": 3, ".mp4": 5}
    assert len(files) == 7
    assert tree.holding(SHELF) == Holding(1, 33)
    tree.remove(SHELF, files)
    assert (tree.listing(SHELF), tree.holding(SHELF)) == ({}, Holding())


def test_how_much_lies_there_is_known_also_when_it_changes_at_once(tree: EvidenceTree) -> None:
    for number in range(50):
        folder = written(tree.root, f".{number}.jpg")
        assert tree.holding(SHELF) == Holding(1, 5 * (number + 1))
    os.utime(folder, (1e9, 1e9))
    assert tree.holding(SHELF).bytes == 250
    (folder / f"{ALERT.id}.1.jpg").write_bytes(b"")
    assert tree.holding(SHELF).bytes == 250  # not looked through again
    (folder / f"{ALERT.id}.2.jpg").unlink()
    assert tree.holding(SHELF).bytes == 240
    assert tree.holding(Shelf("2000/01/02", "front")) == Holding()


@pytest.mark.parametrize(
    ("camera", "incident"),
    [("..", ALERT.id), ("/etc", ALERT.id), ("a/b", ALERT.id), ("front", "../x"), ("front", "Z" * 26), ("", ALERT.id),
     ("front\n", ALERT.id), ("front", ALERT.id.lower())],
)  # fmt: skip
def test_names_that_are_none_of_ours_lead_nowhere(tree: EvidenceTree, camera: str, incident: str) -> None:
    assert tree.shelf(camera, incident) is None


def test_only_plain_files_are_opened(tree: EvidenceTree) -> None:
    folder = written(tree.root, ".jpg")
    with tree.open(SHELF, f"{ALERT.id}.jpg") as file:
        assert file.read() == b"12345"
    (folder / f"{ALERT.id}.1.jpg").symlink_to("/etc/hostname")
    os.mkfifo(folder / f"{ALERT.id}.2.jpg")
    for name in (f"{ALERT.id}.1.jpg", f"{ALERT.id}.2.jpg", f"{ALERT.id}.3.jpg"):
        with pytest.raises(OSError, match=r"symbolic|plain file|No such"):
            tree.open(SHELF, name)


def test_links_in_the_place_of_folders_are_named_and_not_followed(tree: EvidenceTree, tmp_path: Path) -> None:
    folder = written(tree.root, ".jpg")
    real = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(real)
    (tmp_path / "yard").symlink_to(tmp_path / "front")
    assert tree.shelves() == []
    assert tree.links == {"front/2000/01/01", "yard"}
    assert tree.listing(SHELF) == {}
    assert tree.holding(SHELF) == Holding()
    with pytest.raises(OSError, match="Not a directory"):
        tree.open(SHELF, f"{ALERT.id}.jpg")
    tree.tidy(SHELF, "2026/01/01")
    assert [path.name for path in real.iterdir()] == [f"{ALERT.id}.jpg"]


def test_folders_that_are_empty_and_over_go(tree: EvidenceTree, tmp_path: Path) -> None:
    folder = written(tree.root)
    for before in ("2000/01/01", "1999/12/31"):
        tree.tidy(SHELF, before)
        assert folder.exists()
    tree.tidy(SHELF, "2000/01/02")
    assert not folder.exists()
    assert folder.parent.exists()
    folder.mkdir()
    (folder / "notes.txt").touch()
    tree.tidy(SHELF, "2001/01/01")
    assert folder.exists()
    (folder / "notes.txt").unlink()
    tree.tidy(SHELF, "2001/01/01")
    assert [path.name for path in tmp_path.iterdir()] == ["front"]
    assert list((tmp_path / "front").iterdir()) == []
