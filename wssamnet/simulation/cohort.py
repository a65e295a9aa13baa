"""Writing simulated patients as the challenge lays out its cases, and the truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from wssamnet.errors import SettingsError, WssamnetError
from wssamnet.files import folder_atomically, written_atomically
from wssamnet.geometry import Grid
from wssamnet.images import Volume, write_displacement, write_image
from wssamnet.landmarks import write_landmarks
from wssamnet.simulation.flow import FlowChain
from wssamnet.simulation.patient import Patient, random_patient, scanner_grid
from wssamnet.simulation.rendering import lattice, render
from wssamnet.simulation.salience import pick_landmarks

TRUTH = "truth"
_QUANTUM = 1 / 128  # mm, of the stored truth: it compresses four times better, at an error of 0.004 mm
_SLAB = 1 << 20


def write_scan(path: Path, image: NDArray[np.int16], grid: Grid) -> None:
    """Write one image with the challenge's header: int16, qform code 0, sform code 1, mm."""
    nifti = nib.Nifti1Image(image, grid.affine, dtype=np.int16)
    nifti.set_qform(grid.affine, code=0)
    nifti.set_sform(grid.affine, code=1)
    nifti.header.set_xyzt_units("mm")
    content = igzip.compress(nifti.to_bytes(), compresslevel=1, mtime=0)
    with written_atomically(path) as temporary:
        temporary.write_bytes(content)


def truth_field(transform: FlowChain, grid: Grid) -> NDArray[np.float32]:
    """The exact displacement of every voxel, in and outside the brain; (X, Y, Z, 3) LPS mm."""
    field = np.empty((int(np.prod(grid.shape)), 3), dtype=np.float32)
    for start in range(0, len(field), _SLAB):
        points = lattice(grid, np.arange(start, min(start + _SLAB, len(field))))
        field[start : start + _SLAB] = np.rint((transform(points) - points) / _QUANTUM) * _QUANTUM
    return field.reshape(*grid.shape, 3)


def tumour_mask(patient: Patient, grid: Grid) -> NDArray[np.bool_]:
    """The tumour core (enhancing and necrotic, no oedema) before surgery, on the fixed grid; (X, Y, Z)."""
    inside = np.empty(int(np.prod(grid.shape)), dtype=bool)
    for start in range(0, len(inside), _SLAB):
        points = lattice(grid, np.arange(start, min(start + _SLAB, len(inside))))
        distance, _ = patient.lesion.distance(points, followup=False)
        inside[start : start + _SLAB] = distance <= 0
    return inside.reshape(grid.shape)


def _write_case(patient: Patient, grid: Grid, folder: Path) -> NDArray[np.bool_]:
    """Write what the challenge gives; returns the brain of the fixed scan, (X, Y, Z)."""
    brain = np.zeros(grid.shape, dtype=bool)
    landmarks = pick_landmarks(patient)
    for followup, points in enumerate(landmarks):
        stem = f"{patient.name}_{followup:02d}_{followup * patient.days:04d}"
        write_landmarks(folder / f"{stem}_landmarks.csv", points)
        for modality, image in render(patient, grid, followup=bool(followup)):
            write_scan(folder / f"{stem}_{modality}.nii.gz", image, grid)
            if not followup:
                brain = image > 0
    return brain


def write_cohort(
    out: Path,
    *,
    cases: int,
    spacing_mm: float,
    seed: int,
    first: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write a simulated cohort in the challenge's layout.

    ``out/BraTSReg_001/`` and so on hold what the challenge gives: four images and the landmarks of
    each time point. ``out/truth/BraTSReg_001_fixed_to_moving.nii.gz`` holds the exact pull-back
    displacement on the fixed grid in LPS mm, stored to 1/128 mm; outside the brain it is the same
    smooth map. ``out/truth/BraTSReg_001_lesion.nii.gz`` is `tumour_mask` within the brain, which the
    cohort's readers find there and evaluation alone uses. Case n depends on `seed` and n alone, and
    its anatomy, maps and landmarks not on the voxel size; the same arguments give the same bytes. A
    simulated case of that name is replaced.

    Args:
        out: the cohort's folder, made if need be.
        cases: how many.
        spacing_mm: voxel size; 1 gives the challenge's 240x240x155 grid, others the same extent.
        seed: not negative.
        first: number of the first case.
        progress: called with a case's name when it is written.

    Returns:
        `out`.

    Raises:
        SettingsError: a value outside its range.
        WssamnetError: there is a case of that name which was not simulated.
    """
    if cases < 1:
        raise SettingsError(f"{cases} cases", "cases", "1 or more")
    if first < 1 or first + cases > 1000:
        wrong = "first" if first < 1 else "cases"
        raise SettingsError(f"case numbers {first} to {first + cases - 1}", wrong, "1 to 999")
    grid = scanner_grid(spacing_mm)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + cases):
        patient = random_patient(seed, number)
        truth = out / TRUTH / f"{patient.name}_fixed_to_moving.nii.gz"
        if (out / patient.name).exists() and not truth.is_file():
            raise WssamnetError(f"holds {patient.name}, which was not simulated", out, "another --out")
        with folder_atomically(out / patient.name) as temporary:
            brain = _write_case(patient, grid, temporary)
            write_displacement(truth, truth_field(patient.fixed_to_moving, grid), grid)
            lesion = Volume(tumour_mask(patient, grid) & brain, grid)
            write_image(out / TRUTH / f"{patient.name}_lesion.nii.gz", lesion)
        if progress is not None:
            progress(patient.name)
    return out
