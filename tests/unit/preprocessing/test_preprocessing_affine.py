"""The affine start: its parts against independent figures, known maps found, no harm done."""

from __future__ import annotations

import numpy as np
import pytest
from preprocessing_samples import centre, landmark_points, render, small_affine
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from wssamnet.fields import AffineMap
from wssamnet.geometry import Frame, Grid
from wssamnet.preprocessing.affine import Prealignment, helps, plausible, prealign
from wssamnet.preprocessing.affine_search import Objective
from wssamnet.preprocessing.coarse import coarsen
from wssamnet.preprocessing.intensity import brain_range
from wssamnet.preprocessing.similarity import LocalCorrelation, edge_correlation, mutual_information

GRID = Grid((40, 44, 36), np.array([[-4.0, 0, 0, 0], [0, -4, 0, 239], [0, 0, 4, 0], [0, 0, 0, 1]]))


def align(fixed: np.ndarray, fixed_grid: Grid, moving: np.ndarray, moving_grid: Grid) -> Prealignment:
    inputs = []
    for image, grid in ((fixed, fixed_grid), (moving, moving_grid)):
        mask = image > 0
        inputs += [brain_range(image, mask).apply(image, mask)[None], mask, grid]
    return prealign(*inputs)


def error(result: Prealignment, truth: AffineMap, middle: np.ndarray) -> float:
    points = landmark_points(middle)
    return float(np.linalg.norm(result.transform(points) - truth(points), axis=1).mean())


def test_local_correlation_of_one_window_is_the_squared_pearson_correlation() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 5, 5, 5)).astype(np.float32)
    weight = np.zeros((5, 5, 5))
    weight[2, 2, 2] = 1
    value, _ = LocalCorrelation(a, weight, 5)(b)
    assert value == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1] ** 2, rel=5e-3)
    same, _ = LocalCorrelation(a, weight, 5)(1 - a / 2)
    assert same == pytest.approx(1, abs=0.01)


def test_local_correlation_gradient_against_differences() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 7, 6, 8))
    similarity = LocalCorrelation(a.astype(np.float32), rng.random((7, 6, 8)) > 0.3, 3)
    _, gradient = similarity(b)
    for index in [(0, 0, 0), (3, 3, 3), (6, 5, 7), (2, 0, 5)]:
        step = np.zeros(b.shape)
        step[index] = 1e-5
        assert gradient[index] == pytest.approx((similarity(b + step)[0] - similarity(b - step)[0]) / 2e-5, rel=1e-4)


def test_gradient_of_the_matrix_against_differences() -> None:
    middle = centre(GRID)
    noise = gaussian_filter(np.random.default_rng(0).normal(size=GRID.shape), 4)
    mask = render(GRID, middle) > 0
    image = ((0.5 + 0.2 * noise / noise.std()) * gaussian_filter(mask.astype(float), 3)).astype(np.float32)[None]
    scan = coarsen(image, mask, GRID, 4.0)
    objective = Objective(scan, scan, middle)
    matrix = np.eye(4)
    matrix[:3, 3] = (5, -6, 4)
    _, gradient = objective(matrix)
    step = 0.05
    for column in range(3):
        for row in range(3):
            change = np.zeros((4, 4))
            change[row, column] = step / 50
            slope = (objective(matrix + change)[0] - objective(matrix - change)[0]) / (2 * step / 50)
            assert gradient[row, column] == pytest.approx(slope, rel=0.15, abs=0.1 * np.abs(gradient[:, :3]).max())


def test_mutual_information_and_edges_of_known_pairs() -> None:
    rng = np.random.default_rng(0)
    halves = (rng.random(20_000) > 0.5).astype(float)
    assert mutual_information(halves, 1 - halves) == pytest.approx(np.log(2), abs=1e-3)
    assert mutual_information(halves, rng.random(20_000), bins=8) < 0.01
    image = gaussian_filter(rng.normal(size=(20, 20, 20)), 2)
    everywhere = np.ones(image.shape, bool)
    assert edge_correlation(image, 3 - 2 * image, everywhere) == pytest.approx(1)
    assert edge_correlation(image, np.zeros(image.shape), everywhere) == 0
    assert abs(edge_correlation(image, gaussian_filter(rng.normal(size=(20, 20, 20)), 2), everywhere)) < 0.3


def test_a_coarse_copy_keeps_places(odd_grid: Grid) -> None:
    image = np.zeros(odd_grid.shape, np.float32)
    image[15, 13, 10] = 1000
    image = gaussian_filter(image, 3)
    mask = np.ones(odd_grid.shape, bool)
    scan = coarsen(image[None], mask, odd_grid, 9.0)
    assert (scan.grid.spacing < 11.5).all()
    places = []
    for data, grid in ((image, odd_grid), (scan.channels[0], scan.grid)):
        index = np.stack(np.meshgrid(*[np.arange(n) for n in data.shape], indexing="ij"), axis=-1)
        places.append(grid.convert((index * data[..., None]).sum(axis=(0, 1, 2)) / data.sum(), Frame.IJK, Frame.LPS))
    assert np.linalg.norm(places[0] - places[1]) < 1e-3
    assert scan.channels.sum() * np.prod(scan.grid.spacing) == pytest.approx(1000 * np.prod(odd_grid.spacing), rel=1e-3)


def test_a_known_map_is_found_between_odd_grids(odd_grid: Grid) -> None:
    middle = centre(odd_grid)
    truth = small_affine(middle)
    moving_grid = Grid((44, 46, 40), np.diag([-4.0, 4, 4, 1]))
    moving_grid = moving_grid.crop(moving_grid.convert(middle, Frame.LPS, Frame.IJK) - (21, 23, 19), moving_grid.shape)
    fixed = render(odd_grid, middle)
    moving = render(moving_grid, middle, truth.inverse())
    moving = moving**2 * np.linspace(0.6, 1.4, moving.shape[1])[:, None]  # another contrast, and a bias field
    result = align(fixed, odd_grid, moving, moving_grid)
    assert result.chosen == "affine"
    before = error(Prealignment.none(), truth, middle)
    assert before > 5
    assert error(result, truth, middle) < 0.6


def test_the_same_input_gives_the_same_map() -> None:
    middle = centre(GRID)
    fixed, moving = render(GRID, middle), render(GRID, middle, small_affine(middle).inverse())
    first, second = (align(fixed, GRID, moving, GRID) for _ in range(2))
    np.testing.assert_array_equal(first.transform.matrix, second.transform.matrix)


def test_far_apart_scans_meet_by_their_centres() -> None:
    middle = centre(GRID)
    shift = np.eye(4)
    shift[:3, 3] = (60, -25, 40)
    truth = AffineMap(shift @ small_affine(middle).matrix)
    ijk = np.rint(GRID.convert(shift[:3, 3], Frame.LPS, Frame.IJK) - GRID.convert(np.zeros(3), Frame.LPS, Frame.IJK))
    there = GRID.crop(ijk, GRID.shape)
    result = align(render(GRID, middle), GRID, render(there, middle, truth.inverse()), there)
    assert result.chosen == "affine"
    assert error(result, truth, middle) < 0.6


def test_aligned_scans_are_left_alone() -> None:
    image = render(GRID, centre(GRID))
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    result = align(image, GRID, np.where(image > 0, np.clip(image + noise, 1, None), 0), GRID)
    assert result.chosen == "identity"
    np.testing.assert_array_equal(result.transform.matrix, np.eye(4))
    assert set(result.evidence) >= {"similarity_before", "similarity_after", "rotation_deg"}


@pytest.mark.parametrize("degrees", [(0, 0, 40), (25, -20, 20)])
def test_a_head_turned_far_is_turned_back(degrees: tuple[float, float, float]) -> None:
    middle = centre(GRID)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    turn[:3, 3] = middle - turn[:3, :3] @ middle
    truth = AffineMap(turn)
    result = align(render(GRID, middle), GRID, render(GRID, middle, truth.inverse()), GRID)
    assert result.evidence["rotation_deg"] > 30
    assert result.chosen == "affine"
    assert error(result, truth, middle) < 0.6


def test_only_images_that_say_it_clearly_excuse_a_long_way() -> None:
    near = {"rotation_deg": 4, "smallest_scale": 0.95, "largest_scale": 1.05, "mean_displacement_mm": 3}
    assert plausible(near, 0.1)
    for far in ({"rotation_deg": 40}, {"mean_displacement_mm": 45}):
        assert not plausible({**near, **far}, 0.3)
        assert plausible({**near, **far}, 0.6)
        assert not plausible({**near, **far, "smallest_scale": 0.8}, 0.6)


def test_an_implausible_map_is_refused() -> None:
    middle = centre(GRID)
    swollen = np.eye(4)
    swollen[:3, :3] *= 1.3
    swollen[:3, 3] = middle - 1.3 * middle
    image = render(GRID, middle)
    shrunk = render(GRID, middle, AffineMap(swollen))
    result = align(image, GRID, shrunk, GRID)
    assert result.chosen == "identity"
    assert result.evidence["smallest_scale"] < 0.85


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"lncc": 0.7, "mutual_information": 1.1, "edges": 0.6}, True),
        ({"lncc": 0.7, "mutual_information": 0.99, "edges": 0.6}, True),
        ({"lncc": 0.52, "mutual_information": 1.1, "edges": 0.6}, False),
        ({"lncc": 0.7, "mutual_information": 0.9, "edges": 0.6}, False),
        ({"lncc": 0.7, "mutual_information": 1.1, "edges": 0.45}, False),
        ({"lncc": 0.7, "mutual_information": 0.999, "edges": 0.499}, False),
    ],
)
def test_what_speaks_for_a_map(after: dict[str, float], expected: bool) -> None:
    assert helps({"lncc": 0.5, "mutual_information": 1.0, "edges": 0.5}, after) is expected
