"""Entries: transforms of other tools and of one's own, sent through ``wssamnet apply``."""

from __future__ import annotations

import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
from catalogue_outputs import _apply, _moved
from catalogue_place import GRID, POINTS, Entry, Payload, Place
from wssamnet.images import read_displacement, write_displacement
from wssamnet.landmarks import read_landmarks


def _transform(place: Place, name: str, content: str | bytes | None = None) -> Path:
    """Let the command be ``wssamnet apply`` of one's own transform."""
    _apply(place, place.root / "o.csv", **{"--transform": place.root / name})
    if content is not None:
        (place.root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return place.root / name


def _field(place: Place, value: float = 2.0, keep: float = 1.0) -> object:
    field = np.full((*GRID.shape, 3), 2, np.float32)
    field[:3] += np.random.default_rng(0).normal(0, 0.1, (3, *GRID.shape[1:], 3))  # away from the landmarks
    field[1, 2, 3] = value
    write_displacement(path := _transform(place, "f.nii.gz"), field, GRID)
    return path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


def _positions(place: Place) -> None:
    _field(place)
    image = nib.load(place.root / "f.nii.gz")
    image.header["intent_name"] = b"NREG_TRANS"
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header), place.root / "f.nii.gz")


def _flat(place: Place) -> object:
    return _transform(place, "m.txt", "1 0 0 0\n0 1 0 0\n0 0 0 0\n0 0 0 1\n")


def _outside(place: Place) -> None:
    found = read_landmarks(place.root / "o.csv").points
    np.testing.assert_allclose(found, [*(POINTS.points + 2), [900, 0, 0]], atol=1e-3)
    assert read_displacement(place.root / "field.nii.gz")[1].matches(GRID)


TRANSFORMS = [
    Entry("there is no such file", lambda p: _transform(p, "none.nii.gz"),
        says="none.nii.gz: there is no such file (.nii or .nii.gz field, ITK .tfm, .txt or .h5, ANTs .mat, or a "
             "plain 4x4 matrix in .txt, all LPS mm)"),
    Entry("a scalar image", lambda p: _apply(p, p.root / "o.csv", **{"--transform": p.file("00_t1ce")}),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has shape (20, 22, 18) (a displacement field (X, Y, Z, 1, 3) in "
             "LPS mm)"),
    Entry("a field with NaN", lambda p: _field(p, np.nan),
        says="f.nii.gz: holds 3 values that are NaN or infinite (replace them, for instance by 0)"),
    Entry("a truncated field", lambda p: _field(p, keep=0.5),
        says="f.nii.gz: is truncated or damaged: it ends before its content does (copy the file again)"),
    Entry("NiftyReg's deformation: positions", _positions,
        says="f.nii.gz: holds positions, not displacements: its intent is 'NREG_TRANS' (a displacement field in LPS "
             "mm)"),
    Entry("a singular matrix", _flat,
        says="m.txt: holds a singular matrix (an affine map that can be inverted)"),
    Entry("three rows of numbers", lambda p: _transform(p, "m.txt", "1 0 0\n0 1 0\n0 0 1\n"),
        says="m.txt: is not a 4x4 matrix with the last row 0 0 0 1 (.nii or .nii.gz field, ITK .tfm, .txt or .h5, "
             "ANTs .mat, or a plain 4x4 matrix in .txt, all LPS mm)"),
    Entry("FSL's matrix", lambda p: _transform(p, "m.mat", "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"),
        says="m.mat: is text: FSL's matrices are not in millimetres of the world (a .txt with a 4x4 matrix in LPS mm)"),
    Entry("Python code (pickle)", lambda p: _transform(p, "m.mat", pickle.dumps(Payload(p.watched))),
        says="m.mat: is not a matrix file of ANTs (a …0GenericAffine.mat)"),
    Entry("an HDF5 file that is none", lambda p: _transform(p, "m.h5", b"\x89HDF\r\n\x1a\n"),
        says="m.h5: is not a transform that can be read: * (linear transforms and displacement fields in 3-D, or a "
             "composite of them)"),
    Entry("another format (.xfm)", lambda p: _transform(p, "m.xfm", "MNI Transform File\n"),
        says="m.xfm: is not a transform that can be read (.nii or .nii.gz field, ITK .tfm, .txt or .h5, ANTs .mat, or "
             "a plain 4x4 matrix in .txt, all LPS mm)"),
    Entry("points outside the field", lambda p: (
        p.text(lambda t: t + "6,900,0,0\n", "01_landmarks"), _apply(p, p.root / "o.csv")),
        accepted="they stay, as in ITK, and told", right=_outside),
    Entry("a field and points of one's own", lambda p: _field(p), accepted="the points are carried", right=_moved),
]  # fmt: skip
