"""Another tool's results: layouts and directions, an inverse that is not given, landmarks alone, what is refused."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from wssamnet.cohort import Case, Scan
from wssamnet.errors import CohortError, WssamnetError
from wssamnet.evaluation import evaluate_case
from wssamnet.evaluation.results import per_case, read_results
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.checking import check_methods
from wssamnet.registration.external import ExternalMethod, check_external

ALL = {"warped.nii.gz", "fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz", "landmarks.csv", "run.json"}


@pytest.fixture
def prepared(make_prepared: Callable[..., PreparedCase]) -> PreparedCase:
    return make_prepared(shape=(20, 21, 22))


def _cohort_case(case: PreparedCase) -> Case:
    folder = case.folder
    scans = (Scan({"t1ce": folder / "fixed.nii.gz"}, folder / "truth.csv", None),)
    moving = Scan({"t1ce": folder / "moving.nii.gz"}, folder / "moving_landmarks.csv", None)
    return Case(case.id, scans[0], moving)


def _affine(seed: int = 0) -> sitk.AffineTransform:
    rng = np.random.default_rng(seed)
    transform = sitk.AffineTransform(3)
    transform.SetCenter((30.0, -40.0, 35.0))
    transform.SetMatrix((np.eye(3) + rng.normal(0, 0.03, (3, 3))).ravel().tolist())
    transform.SetTranslation(rng.normal(0, 4, 3).tolist())
    return transform


def _field(grid: Grid, seed: int, *, size: float = 4.0) -> sitk.DisplacementFieldTransform:
    """A smooth field by ITK on the grid of a scan."""
    reference = sitk.Image(*[int(n) for n in grid.shape], sitk.sitkFloat32)
    reference.SetSpacing(grid.spacing.tolist())
    reference.SetOrigin(grid.origin.tolist())
    reference.SetDirection(grid.direction.ravel().tolist())
    spline = sitk.BSplineTransformInitializer(reference, [3, 3, 3])
    spline.SetParameters(np.random.default_rng(seed).normal(0, size, len(spline.GetParameters())).tolist())
    vectors = sitk.TransformToDisplacementField(
        spline,
        sitk.sitkVectorFloat64,
        reference.GetSize(),
        reference.GetOrigin(),
        reference.GetSpacing(),
        grid.direction.ravel().tolist(),
    )
    return sitk.DisplacementFieldTransform(vectors)


def _through(transform: sitk.Transform, points: Array) -> Array:
    return np.array([transform.TransformPoint(point) for point in points.tolist()])


def _ants_matrix(path: Path, transform: sitk.AffineTransform) -> None:
    """The file that ANTs writes: two arrays of a MATLAB 4 file."""
    content = b""
    for name, values in (
        ("AffineTransform_double_3_3", transform.GetParameters()),
        ("fixed", transform.GetFixedParameters()),
    ):
        text = name.encode() + b"\0"
        content += struct.pack("<5i", 0, len(values), 1, 0, len(text)) + text + np.array(values, "<f8").tobytes()
    path.write_bytes(content)


def _inside(grid: Grid, count: int = 20) -> Array:
    ijk = np.random.default_rng(5).uniform(0.35, 0.65, (count, 3)) * np.array(grid.shape)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def _write_field(path: Path, transform: sitk.DisplacementFieldTransform) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DisplacementFieldTransform(transform).GetDisplacementField(), str(path))


@pytest.mark.parametrize(
    "layout", ["folder", "flat", "chain", "ants", "ants with the id", "ants flat", "challenge", "backward alone"]
)
def test_every_layout_means_what_itk_says(prepared: PreparedCase, tmp_path: Path, layout: str) -> None:
    root = tmp_path / "a tool"
    root.mkdir()
    grid, affine = prepared.native_grid("fixed"), _affine()
    field = _field(grid, 1)
    # points: the field first, then the affine; a composite applies the last one first
    both = sitk.CompositeTransform([affine, field])
    forward: sitk.Transform = both
    match layout:
        case "folder":
            _write_field(root / prepared.id / "fixed_to_moving.nii.gz", field)
            forward = field
        case "flat":
            sitk.WriteTransform(affine, str(root / f"{prepared.id}_fixed_to_moving.tfm"))
            forward = affine
        case "chain":
            _write_field(root / prepared.id / "fixed_to_moving_1.nii.gz", field)
            sitk.WriteTransform(affine, str(root / prepared.id / "fixed_to_moving_2.txt"))
        case "ants" | "ants with the id":
            prefix = "any" if layout == "ants" else f"{prepared.id}_ants_"
            _write_field(root / prepared.id / f"{prefix}1Warp.nii.gz", field)
            _ants_matrix(root / prepared.id / f"{prefix}0GenericAffine.mat", affine)
        case "ants flat":
            _write_field(root / f"{prepared.id}_1Warp.nii.gz", field)
            _ants_matrix(root / f"{prepared.id}_0GenericAffine.mat", affine)
        case "challenge":
            _write_field(root / f"{prepared.id}_df_b2f.nii.gz", field)
            (root / f"{prepared.id}_detj.nii.gz").write_bytes(b"not looked at")
            forward = field
        case "backward alone":
            sitk.WriteTransform(affine.GetInverse(), str(root / f"{prepared.id}_moving_to_fixed.tfm"))
            forward = affine
    found = check_external(root, [_cohort_case(prepared)])
    assert [files.case for files in found] == [prepared.id]
    points = _inside(grid)
    result = ExternalMethod("tool", root).register(prepared)
    moved = _through(forward, points)
    assert np.abs(moved - points).max() > 1
    np.testing.assert_allclose(result.pull_back(points), moved, atol=2e-3)
    np.testing.assert_allclose(result.push_forward(moved), points, atol=5e-3)

    folder = ExternalMethod("tool", root).take(prepared, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == ALL
    record = json.loads((folder / "run.json").read_text())
    assert (record["method"], record["seconds"], record["versions"]) == ("tool", {}, {})
    assert record["external"]["inverted"] == ["fixed_to_moving" if layout == "backward alone" else "moving_to_fixed"]
    # the exported field is the tool's, within what sampling it on the native grid costs
    exported = sitk.DisplacementFieldTransform(
        sitk.ReadImage(str(folder / "fixed_to_moving.nii.gz"), sitk.sitkVectorFloat64)
    )
    assert np.abs(_through(exported, points) - moved).max() < 0.05


def test_both_directions_of_ants(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    affine, back = _affine(), _field(prepared.native_grid("fixed"), 2)
    _write_field(root / prepared.id / "t_1Warp.nii.gz", _field(prepared.native_grid("fixed"), 1))
    _write_field(root / prepared.id / "t_1InverseWarp.nii.gz", back)
    _ants_matrix(root / prepared.id / "t_0GenericAffine.mat", affine)
    points = _inside(prepared.native_grid("moving"))
    result = ExternalMethod("tool", root).register(prepared)
    expected = _through(back, _through(affine.GetInverse(), points))
    np.testing.assert_allclose(result.push_forward(points), expected, atol=2e-3)


def test_the_way_back_of_ants_alone_is_inverted(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    affine, back = _affine(), _field(prepared.native_grid("fixed"), 2)
    _write_field(root / prepared.id / "t_1InverseWarp.nii.gz", back)
    _ants_matrix(root / prepared.id / "t_0GenericAffine.mat", affine)
    points = _inside(prepared.native_grid("moving"))
    result = ExternalMethod("tool", root).register(prepared)
    moved = result.push_forward(points)
    np.testing.assert_allclose(moved, _through(back, _through(affine.GetInverse(), points)), atol=2e-3)
    np.testing.assert_allclose(result.pull_back(moved), points, atol=5e-3)


def test_a_damaged_image_that_nobody_asked_for_does_not_matter(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    _write_field(root / prepared.id / "fixed_to_moving.nii.gz", _field(prepared.native_grid("fixed"), 1))
    case, flair = _cohort_case(prepared), tmp_path / "flair.nii.gz"
    flair.write_bytes(b"no image")
    other = replace(case, fixed=replace(case.fixed, images={"flair": flair, **case.fixed.images}))
    assert len(check_external(root, [other])) == 1


def test_landmarks_alone_are_judged_without_a_field(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    root.mkdir()
    case = _cohort_case(prepared)
    truth = read_landmarks(prepared.folder / "truth.csv")
    write_landmarks(root / f"{prepared.id}.csv", Landmarks(truth.ids[::-1], truth.points[::-1] + np.array([0, 3, 4])))
    (root / f"{prepared.id}_run.json").write_text('{"seconds": 2.5, "device": "cuda:0"}')
    assert len(check_external(root, [case])) == 1
    folder = ExternalMethod("tool", root).take(prepared, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"landmarks.csv", "run.json"}
    judged = evaluate_case(folder, prepared.folder, case, tmp_path / "evaluation")
    row = per_case(read_results([judged]), "euclidean").iloc[0]
    assert (row["method"], row["status"], row["problems"]) == ("tool", "ok", "")
    assert row["mean"] == pytest.approx(5, abs=1e-3)
    assert row["seconds"] == 2.5
    assert np.isnan(row["folding"])
    assert row["device"] == "cuda:0"


def test_the_tools_own_landmarks_win_over_its_transform(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    root.mkdir()
    moving = prepared.moving_landmarks()
    assert moving is not None
    sitk.WriteTransform(_affine(), str(root / f"{prepared.id}_fixed_to_moving.tfm"))
    write_landmarks(root / f"{prepared.id}_landmarks.csv", Landmarks(moving.ids, moving.points + 1))
    folder = ExternalMethod("tool", root).take(prepared, tmp_path / "out")
    np.testing.assert_allclose(read_landmarks(folder / "landmarks.csv").points, moving.points + 1, atol=1e-4)
    # and that the two do not agree is recorded
    assert json.loads((folder / "run.json").read_text())["landmark_round_trip"]["not_inverted"] == len(moving)


def test_ours_can_be_taken_again(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    _write_field(root / prepared.id / "fixed_to_moving.nii.gz", _field(prepared.native_grid("fixed"), 1))
    first = ExternalMethod("first", root).take(prepared, tmp_path / "out")
    second = ExternalMethod("second", tmp_path / "out" / "first").take(prepared, tmp_path / "out")
    assert second.name == prepared.id
    a, b = (read_landmarks(folder / "landmarks.csv").points for folder in (first, second))
    np.testing.assert_array_equal(a, b)


def test_a_case_that_is_not_there_is_missing_and_a_like_name_is_not_it(prepared: PreparedCase, tmp_path: Path) -> None:
    root = tmp_path / "tool"
    root.mkdir()
    case = _cohort_case(prepared)
    sitk.WriteTransform(_affine(), str(root / "case_a_fixed_to_moving.tfm"))
    sitk.WriteTransform(_affine(), str(root / "case_a_1_fixed_to_moving.tfm"))
    (root / "case_9").mkdir()
    sitk.WriteTransform(_affine(), str(root / "case_9" / "fixed_to_moving.tfm"))
    others = [Case(name, case.fixed, case.moving) for name in ("case", "case_a", "case_a_1", "case_7")]
    assert [files.case for files in check_external(root, others)] == ["case_a", "case_a_1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("case_a_fixed_to_moving.tfm", "nonsense", "is not a transform that can be read"),
        ("case_a_fixed_to_moving.h5", "x", "is not a transform that can be read"),
        ("case_a_df_b2f.nii.gz", "x", "is not a readable NIfTI image"),
        ("case_a.csv", "Landmark,X,Y,Z\n1,0,0,0\n", "lacks the landmarks 2, 3, 4, 5, 6, 7, …"),
        ("case_a.csv", "1,2,3\n", "the first line must be Landmark,X,Y,Z"),
        (
            "case_a.csv",
            "Landmark,X,Y,Z\n" + "".join(f"{n},900,{n},0\n" for n in range(1, 9)),
            "all 8 landmarks lie outside the fixed scan",
        ),
        ("case_a/warp.nii.gz", "x", "holds nothing that is known"),
        ("case_a_run.json", "{", "is not JSON"),
        ("case_a_run.json", '{"seconds": -1}', "gives the seconds as -1"),
        ("case_a_run.json", '{"threads": "8 cores"}', "gives the threads as '8 cores'"),
        ("case_a_run.json", "[]", "gives the seconds as '?'"),
    ],
)
def test_what_is_wrong_is_said_with_its_file(
    prepared: PreparedCase, tmp_path: Path, name: str, content: str, message: str
) -> None:
    root = tmp_path / "tool"
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text(content)
    if path.name.endswith("run.json"):
        sitk.WriteTransform(_affine(), str(root / "case_a_fixed_to_moving.tfm"))
    with pytest.raises(CohortError, match=re.escape(message)) as caught:
        check_external(root, [_cohort_case(prepared)])
    assert str(caught.value).startswith(str(path.parent if name.startswith("case_a/") else path))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("case_a_fixed_to_moving.tfm", "case_a_fixed_to_moving.txt"),
        ("case_a_fixed_to_moving.tfm", "case_a_fixed_to_moving_1.tfm"),
        ("case_a_fixed_to_moving_1.tfm", "case_a/fixed_to_moving_1.tfm"),
        ("case_a_fixed_to_moving_1.tfm", "case_a_fixed_to_moving_3.tfm"),
        ("case_a_fixed_to_moving.tfm", "case_a_df_b2f.nii.gz"),
    ],
)
def test_two_of_a_kind_are_refused(prepared: PreparedCase, tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = tmp_path / "tool" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not read")
    with pytest.raises(CohortError, match=r"is a second pull-back beside|without a gap"):
        check_external(tmp_path / "tool", [_cohort_case(prepared)])


def test_a_field_elsewhere_is_refused(prepared: PreparedCase, tmp_path: Path) -> None:
    grid = prepared.native_grid("fixed")
    away = grid.affine.copy()
    away[:3, 3] += 1000
    _write_field(tmp_path / "tool" / "case_a_fixed_to_moving.nii.gz", _field(Grid(grid.shape, away), 1))
    with pytest.raises(CohortError, match="does not overlap the fixed scan in space"):
        check_external(tmp_path / "tool", [_cohort_case(prepared)])


def test_all_problems_are_told_at_once(prepared: PreparedCase, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    own, external = [("ants", "x.py:A"), ("a", "x.py:A")], [("a", str(tmp_path / "empty")), ("b", str(tmp_path / "no"))]
    with pytest.raises(CohortError) as caught:
        check_methods(["identity"], own, external, [_cohort_case(prepared)])
    told = "\n".join(caught.value.problems)
    for line in (
        "--registrar, --external: 'a' is given twice (every name once)",
        "--registrar: 'ants' is a method of this tool (another name)",
        "x.py: there is no such file",
        f"{tmp_path}/empty: holds nothing for any test case (files or folders named by case: case_a)",
        f"{tmp_path}/no: there is no such folder",
    ):
        assert line in told


def test_a_case_that_is_missing_cannot_be_taken(prepared: PreparedCase, tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    with pytest.raises(WssamnetError, match="holds nothing for case case_a"):
        ExternalMethod("tool", tmp_path / "tool").take(prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()
