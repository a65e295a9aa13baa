from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import SimpleQueue
from typing import Any

import numpy as np
import pytest
from wssamnet.kernels import threads
from wssamnet.kernels.jacobian import determinant
from wssamnet.kernels.laplacian import laplacian
from wssamnet.kernels.lncc import lncc_sum
from wssamnet.kernels.mutual_information import mutual_information_of
from wssamnet.kernels.roughness import roughness
from wssamnet.kernels.sampling import sample
from wssamnet.kernels.smoothing import gaussian
from wssamnet.kernels.warping import gradient_to_displacement, gradient_to_image, warp

RNG = np.random.default_rng(0)
A = RNG.random((37, 50, 60), dtype=np.float32)
B = (0.5 * A + RNG.random(A.shape, dtype=np.float32)).astype(np.float32)
A[:9], B[:9], A[20:, :15], B[20:, :15] = 0, 0, 0, 0  # background
U = RNG.normal(scale=3, size=(3, *A.shape)).astype(np.float32)


def _lncc() -> list[Any]:
    gradient = np.empty_like(A)
    return [lncc_sum(A, B, A > 0.2, window=5, squared=True, epsilon=1e-5, flat=1e-5, gradient=gradient), gradient]


def _mi() -> list[Any]:
    gradient = np.empty(A.size, np.float32)
    return [mutual_information_of(A.ravel(), B.ravel(), None, bins=16, gradients=(None, gradient)), gradient]


def _laplacian() -> list[Any]:
    out = np.empty_like(A)
    laplacian(A, [(np.array([0.2, 0.6, 0.2]), np.array([1.0, -2.0, 1.0]))] * 3, out)
    return [out]


def _roughness() -> list[Any]:
    gradient = np.empty_like(U)
    return [roughness(U, np.ones((3, 3), np.float32), absolute=False, gradient=gradient), gradient]


def _warps() -> list[Any]:
    image = A[None]
    return [warp(image, U), gradient_to_displacement(image, U, B[None]), gradient_to_image(A.shape, U, B[None])]


KERNELS: dict[str, Callable[[], list[Any]]] = {
    "lncc": _lncc,
    "mutual_information": _mi,
    "laplacian": _laplacian,
    "roughness": _roughness,
    "warp": _warps,
    "gaussian": lambda: [gaussian(np.moveaxis(U, 0, -1), 1.3)],
    "determinant": lambda: [determinant(np.moveaxis(U, 0, -1), np.eye(3))],
    "sample": lambda: [sample(A, RNG.spawn(1)[0].random((9, 3)) * 0 + np.arange(27).reshape(9, 3))],
}


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_the_thread_count_changes_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        results.append([np.asarray(part).tobytes() for part in KERNELS[name]()])
    assert all(result == results[0] for result in results[1:])


@pytest.mark.parametrize(
    ("omp", "numba", "expected"),
    [("1", None, 1), ("3", None, 3), ("3", "2", 2), ("0", None, 5), ("4,2", None, 5), (None, None, 5)],
)
def test_threads_are_what_the_other_libraries_were_told(
    omp: str | None, numba: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread for ANTs is one for us: numba itself does not read OpenMP's variable."""
    for name, value in (("OMP_NUM_THREADS", omp), ("NUMBA_NUM_THREADS", numba)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads.config, "NUMBA_NUM_THREADS", int(numba or 5))  # read when numba is imported
    assert threads.thread_count() == expected


def _in_child(queue: SimpleQueue[float]) -> None:
    queue.put(float(_lncc()[0]))


def test_kernels_work_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the workers of a data loader, whose parent has used kernels already."""
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    expected = _lncc()[0]
    context = multiprocessing.get_context("fork")
    queue: SimpleQueue[float] = context.SimpleQueue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert queue.get() == expected


def test_kernels_may_be_called_from_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    expected = _lncc()[0]
    with ThreadPoolExecutor(4) as pool:
        assert [job.result()[0] for job in [pool.submit(_lncc) for _ in range(8)]] == [expected] * 8


def test_ranges_cover_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    for count in (1, 2, 10, 11):
        for parts in (1, 4):
            seen: list[int] = []
            threads.run_ranges(lambda start, stop, into: into.extend(range(start, stop)), count, seen, parts=parts)
            assert sorted(seen) == list(range(count))


def test_an_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: 2)

    def fail(start: int, stop: int) -> None:
        if start > 0:
            raise RuntimeError("in the second range")

    with pytest.raises(RuntimeError, match="in the second range"):
        threads.run_ranges(fail, 4)
