"""Overlapped batches: the same files in the same order, honest records, errors that surface."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from wssamnet.errors import ImageError
from wssamnet.landmarks import Landmarks
from wssamnet.preprocessing.prepared import TRUTH, PreparedCase
from wssamnet.preprocessing.seen import seen_at
from wssamnet.registration import protocol
from wssamnet.registration.batch import register_cases
from wssamnet.registration.identity import IdentityRegistrar
from wssamnet.registration.protocol import Registration

Make = Callable[..., PreparedCase]
NAMES = ("d", "a", "c", "b")


@pytest.fixture
def folders(make_prepared: Make) -> list[Path]:
    return [make_prepared(name, shape=(12, 13, 14), seed=seed).folder for seed, name in enumerate(NAMES)]


def _threads(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(count))


class Failing(IdentityRegistrar):
    """Fails at one case."""

    def __init__(self, at: str) -> None:
        self.at = at

    def register(self, case: PreparedCase) -> Registration:
        if case.id == self.at:
            raise RuntimeError("diverged")
        return super().register(case)


class Peeking(IdentityRegistrar):
    """Looks for the answer."""

    def register(self, case: PreparedCase) -> Registration:
        for one in (case, seen_at(case, 8.0)):
            assert not any(one.has(name) for name in TRUTH)
            for name in TRUTH:
                with pytest.raises(
                    ImageError, match=rf"{name}\.npy: is for trainings alone \(a registration may not see"
                ):
                    one.array(name)
        return super().register(case)


def test_no_registrar_is_given_what_it_is_judged_by(folders: list[Path], tmp_path: Path) -> None:
    assert all((folders[0] / f"{name}.npy").is_file() for name in TRUTH)
    assert len(register_cases(Peeking(), folders[:1], tmp_path / "out")) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_order_progress_and_files(
    folders: list[Path], tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, threads)
    seen: list[tuple[int, int, str]] = []
    out = register_cases(
        IdentityRegistrar(), folders, tmp_path / "out", lambda n, of, folder: seen.append((n, of, folder.name))
    )
    assert [folder.name for folder in out] == list(NAMES)
    assert seen == [(number, 4, name) for number, name in enumerate(NAMES, start=1)]
    for folder in out:
        record = json.loads((folder / "run.json").read_text())
        assert record["case"] == folder.name
        assert record["overlapped"] == (threads > 1)
        assert set(record["seconds"]) == {"start_up", "load", "register", "write"}


def test_one_case_is_written_while_the_next_registers(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, 2)
    written = threading.Event()
    original = protocol.write_json

    def telling(*arguments: object) -> None:
        original(*arguments)  # type: ignore[arg-type]
        written.set()

    monkeypatch.setattr(protocol, "write_json", telling)

    class Waiting(IdentityRegistrar):
        def register(self, case: PreparedCase) -> Registration:
            if case.id == NAMES[1]:
                assert written.wait(20), "the case before was not written meanwhile"
            return super().register(case)

    register_cases(Waiting(), folders[:2], tmp_path / "out")


def test_seconds_are_of_the_registration_alone(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, 2)
    original = protocol.write_json

    def slow(*arguments: object) -> None:
        time.sleep(0.3)
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(protocol, "write_json", slow)
    for folder in register_cases(IdentityRegistrar(), folders, tmp_path / "out"):
        assert json.loads((folder / "run.json").read_text())["seconds"]["register"] < 0.2


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failed_case_leaves_the_ones_before_it(
    folders: list[Path], tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, threads)
    with pytest.raises(RuntimeError, match="diverged"):
        register_cases(Failing("c"), folders, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "identity").iterdir()) == ["a", "d"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bad", NAMES)
def test_failed_cases_can_be_left_out(
    folders: list[Path], tmp_path: Path, threads: int, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, threads)
    (folders[1] / "moving.nii.gz").write_bytes(b"no image")
    left_out: dict[str, Exception] = {}
    seen: list[int] = []
    out = register_cases(
        Failing(bad),
        folders,
        tmp_path / "out",
        lambda number, _of, _folder: seen.append(number),
        failed=lambda case, fault: left_out.update({case.id: fault}),
    )
    assert set(left_out) == {bad, NAMES[1]}
    assert isinstance(left_out[NAMES[1]], ImageError)
    assert [folder.name for folder in out] == [name for name in NAMES if name not in left_out]
    assert seen == list(range(1, len(out) + 1))
    assert sorted(path.name for path in (tmp_path / "out" / "identity").iterdir()) == sorted(set(NAMES) - set(left_out))


def test_a_case_that_cannot_be_written_is_left_out(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, 2)
    original = protocol.write_landmarks

    def full(path: Path, landmarks: Landmarks) -> None:
        if len(list((tmp_path / "out").glob("identity/[!.]*"))) == 1 and not left_out:
            raise OSError("No space left on device")
        original(path, landmarks)

    monkeypatch.setattr(protocol, "write_landmarks", full)
    left_out: list[str] = []
    out = register_cases(
        IdentityRegistrar(), folders, tmp_path / "out", failed=lambda case, _fault: left_out.append(case.id)
    )
    assert left_out == [NAMES[1]]
    assert [folder.name for folder in out] == [NAMES[0], *NAMES[2:]]
    assert not list((tmp_path / "out").glob(".*"))


def test_a_fault_of_the_program_ends_the_batch(folders: list[Path], tmp_path: Path) -> None:
    class Broken(IdentityRegistrar):
        def register(self, case: PreparedCase) -> Registration:
            raise AttributeError(case.id)

    with pytest.raises(AttributeError):
        register_cases(Broken(), folders, tmp_path / "out", failed=lambda _case, _fault: None)


@pytest.mark.parametrize("last", [True, False])
def test_a_failure_while_writing_surfaces(
    folders: list[Path], tmp_path: Path, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, 2)
    bad = NAMES[-1] if last else NAMES[0]
    original = protocol.write_image

    def full(path: Path, *rest: object) -> None:
        if len(list((tmp_path / "out").glob("identity/[!.]*"))) == NAMES.index(bad):
            raise OSError("No space left on device")
        original(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(protocol, "write_image", full)
    with pytest.raises(OSError, match="No space left"):
        register_cases(IdentityRegistrar(), folders, tmp_path / "out")
    done = sorted(path.name for path in (tmp_path / "out").glob("identity/[!.]*"))
    assert done == sorted(NAMES[: NAMES.index(bad)])
    assert not list((tmp_path / "out").glob(".*"))


def test_an_image_that_cannot_be_read_surfaces(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _threads(monkeypatch, 2)
    (folders[2] / "moving.nii.gz").write_bytes(b"no image")
    with pytest.raises(ImageError, match="NIfTI"):
        register_cases(IdentityRegistrar(), folders, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "identity").iterdir()) == ["a", "d"]
