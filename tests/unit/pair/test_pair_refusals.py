"""What cannot be registered is told in one line a fault, before any work, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pair_samples import MadePair
from wssamnet.errors import SettingsError, WssamnetError
from wssamnet.images import Volume, read_image, write_image
from wssamnet.pair.folder import COMMAND, require_free

Command = Callable[..., tuple[int, list[str]]]


def _four_dimensions(pair: MadePair, folder: Path) -> Path:
    path = folder / "four.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8, 2), np.float32), np.eye(4)), path)
    return path


def _other_grid(pair: MadePair, folder: Path) -> Path:
    path = folder / "mask.nii.gz"
    image = read_image(pair.moving)
    write_image(
        path,
        Volume(
            (image.data > 0)[1:], image.grid.crop((1, 0, 0), [n - (a == 0) for a, n in enumerate(image.grid.shape)])
        ),
    )
    return path


def _all_lesion(pair: MadePair, folder: Path) -> Path:
    path = folder / "lesion.nii.gz"
    grid = read_image(pair.fixed).grid
    write_image(path, Volume(np.ones(grid.shape, np.uint8), grid))
    return path


def _far_landmarks(pair: MadePair, folder: Path) -> Path:
    path = folder / "far.csv"
    path.write_text(pair.landmarks.read_text() + "77,900,0,0\n")
    return path


def _missing(pair: MadePair, folder: Path) -> Path:
    return folder / "missing.nii.gz"


FAULTS = [
    ("--moving", _missing, "there is no such file"),
    ("--moving", _four_dimensions, "has 4 dimensions (8, 8, 8, 2) (a 3-D image)"),
    ("--landmarks", _far_landmarks, "1 of 26 landmarks lie outside the image: 77"),
    ("--landmarks", _missing, "there is no such file"),
    ("--moving-mask", _other_grid, "is not on the grid of"),
    ("--moving-lesion", _other_grid, "is not on the grid of its image"),
    ("--fixed-lesion", _all_lesion, "excludes every voxel"),
    ("--fixed-lesion", _missing, "there is no such file"),
]


@pytest.mark.parametrize(("option", "make", "words"), FAULTS)
def test_a_fault_of_a_file_is_one_line(
    option: str,
    make: Callable[[MadePair, Path], Path],
    words: str,
    made_pair: MadePair,
    tmp_path: Path,
    command: Command,
) -> None:
    bad = make(made_pair, tmp_path)
    before = sorted(tmp_path.iterdir())
    options = {"--fixed": made_pair.fixed, "--moving": made_pair.moving, option: bad}
    status, lines = command("register", *[w for pair in options.items() for w in pair], "--out", tmp_path / "a" / "out")
    assert status == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"wssamnet: {bad}: ")
    assert words in lines[0]
    assert sorted(tmp_path.iterdir()) == before


def test_modalities_must_be_as_many(made_pair: MadePair, tmp_path: Path, command: Command) -> None:
    words = ("--fixed", made_pair.fixed, "--fixed", made_pair.fixed, "--moving", made_pair.moving)
    assert command("register", *words, "--out", tmp_path / "out") == (
        2,
        [
            "wssamnet: --fixed, --moving: 2 fixed and 1 moving images were given "
            "(as many of each, the same modalities in the same order)"
        ],
    )
    assert not (tmp_path / "out").exists()


def test_an_unknown_refinement_is_refused(made_pair: MadePair, tmp_path: Path) -> None:
    from wssamnet.api import register_pair

    with pytest.raises(SettingsError, match="--refinement: 'slow' is unknown"):
        register_pair(made_pair.fixed, made_pair.moving, tmp_path / "out", refinement="slow")  # type: ignore[arg-type]


def _former(folder: Path, **more: str) -> None:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"command": COMMAND}))
    (folder / "warped_2.nii.gz").write_text("old")
    for name, content in more.items():
        (folder / name).write_text(content)


def test_a_folder_with_other_files_is_left_alone(made_pair: MadePair, tmp_path: Path, command: Command) -> None:
    _former(tmp_path / "out", thesis="years of work")
    status, lines = command(
        "register", "--fixed", made_pair.fixed, "--moving", made_pair.moving, "--out", tmp_path / "out"
    )
    assert (status, len(lines)) == (2, 1)
    assert "holds files that are no former result of this command: thesis" in lines[0]
    assert (tmp_path / "out" / "thesis").read_text() == "years of work"


@pytest.mark.parametrize("record", ["{}", "[]", "not json"])
def test_our_names_alone_do_not_make_it_ours(record: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(record)
    with pytest.raises(WssamnetError, match="no former result"):
        require_free(tmp_path)


def test_a_result_that_is_an_input_is_kept(tmp_path: Path) -> None:
    _former(tmp_path / "out")
    require_free(tmp_path / "out")
    with pytest.raises(WssamnetError, match=r"holds warped_2\.nii\.gz, one of the inputs"):
        require_free(tmp_path / "out", [tmp_path / "elsewhere", tmp_path / "out" / "warped_2.nii.gz"])


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(WssamnetError, match="is a link that leads nowhere"):
        require_free(tmp_path / "out")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(WssamnetError, match="exists and is not a folder"):
        require_free(tmp_path / "out")
