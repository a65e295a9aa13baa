"""A registrar of one's own: from a file, under the name given, refused in one line where it is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wssamnet
from wssamnet.errors import LandmarkError, SettingsError
from wssamnet.images import read_displacement
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.methods import make_registrar
from wssamnet.registration.protocol import run
from wssamnet.settings import Settings

DOCUMENTED = Path(wssamnet.__file__).parents[1] / "docs" / "methods.md"
GOOD = """
from wssamnet.fields import AffineMap
from wssamnet.registration.protocol import Registration
class Still:
    seed, device = 7, "cpu"
    def register(self, case):
        return Registration(AffineMap(), AffineMap(), {"tried": 3})
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_it_leaves_the_files_of_every_method(
    make_prepared: Callable[..., PreparedCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    case = make_prepared(shape=(12, 13, 14))
    registrar = make_registrar("still", Settings(), own=f"{_file(tmp_path, GOOD)}:Still")
    folder = run(registrar, case, tmp_path / "out")
    assert folder == tmp_path / "out" / "still" / case.id
    assert {path.name for path in folder.iterdir()} == {
        *("warped.nii.gz", "fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz", "landmarks.csv", "run.json")
    }
    record = json.loads((folder / "run.json").read_text())
    assert (record["method"], record["seed"], record["device"], record["tried"]) == ("still", 7, "cpu", 3)
    assert record["registrar"] == "mine.py:Still"
    assert {path.name for path in tmp_path.iterdir()} >= {"mine.py", "out"}
    assert not (tmp_path / "__pycache__").exists(), "else the folder has changed, and -resume repeats what looks at it"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (GOOD, "Stil", "has no class Stil (it has Still)"),
        ("x = 1", "x", "has no class x (it has none)"),
        (
            "class A:\n    seed = None",
            "A",
            "A has no register, device (a method register(case), and seed",
        ),
        (GOOD.replace("class Still:", "class Still:\n    def __init__(self, path): ..."), "Still", "without path"),
        ("class A(:", "A", "line 1: "),
        ("import no_such_package", "A", "imports no_such_package, which is not installed (install it)"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, text: str, name: str, message: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        make_registrar("mine", Settings(), own=f"{path}:{name}")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"seconds": 3.2, "method": "x"}', "mine.py:Still: its record gives method, seconds, which is ours to say"),
        ('{"threads": "all"}', "its record gives threads, which is ours to say"),
        ('{"warnings": 3}', "its record's warnings are 3 (a text, or a list of them)"),
        (
            '{"metric": np.float32(0.3)}',
            "Object of type float32 is not JSON serializable (text, lists, dicts, and numbers",
        ),
    ],
)
def test_a_record_that_would_spoil_the_tables_is_refused(
    make_prepared: Callable[..., PreparedCase], tmp_path: Path, record: str, message: str
) -> None:
    text = "import numpy as np\n" + GOOD.replace('{"tried": 3}', record)
    registrar = make_registrar("still", Settings(), own=f"{_file(tmp_path, text)}:Still")
    with pytest.raises(SettingsError, match=re.escape(message)):
        run(registrar, make_prepared(shape=(12, 13, 14)), tmp_path / "out")
    assert not list((tmp_path / "out").glob("still/*"))


def test_a_transform_may_work_in_its_argument(make_prepared: Callable[..., PreparedCase], tmp_path: Path) -> None:
    text = """
from wssamnet.registration.protocol import Registration
def there(points):
    points += 3.0
    return points
def back(points):
    points -= 3.0
    return points
class Shift:
    seed, device = None, "cpu"
    def register(self, case):
        return Registration(there, back)
"""
    case = make_prepared(shape=(12, 13, 14))
    folder = run(make_registrar("mine", Settings(), own=f"{_file(tmp_path, text)}:Shift"), case, tmp_path / "out")
    np.testing.assert_allclose(read_displacement(folder / "fixed_to_moving.nii.gz")[0], 3, atol=1e-3)
    moving = case.moving_landmarks()
    assert moving is not None
    np.testing.assert_allclose(read_landmarks(folder / "landmarks.csv").points, moving.points - 3, atol=1e-3)


@pytest.mark.parametrize("where", ["mine.py", "mine:Class", "package.module:Class", "mine.py:", "mine.py:a b"])
def test_what_does_not_name_a_class(where: str) -> None:
    with pytest.raises(SettingsError, match="does not name a class"):
        make_registrar("mine", Settings(), own=where)


@pytest.mark.parametrize("name", ["ants", "wssamnet"])
def test_ours_cannot_be_replaced(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"'{name}' is a method of this tool"):
        make_registrar(name, Settings(), own=f"{_file(tmp_path, GOOD)}:Still")


@pytest.mark.parametrize("name", ["../up", "a b", "", ".hidden", "x" * 41])
def test_a_name_that_is_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be a method's name"):
        make_registrar(name, Settings(), own=f"{_file(tmp_path, GOOD)}:Still")


def test_landmarks_that_it_gives_itself_are_its_result(
    make_prepared: Callable[..., PreparedCase], tmp_path: Path
) -> None:
    text = """
from wssamnet.fields import AffineMap
from wssamnet.landmarks import Landmarks
from wssamnet.registration.protocol import Registration
class Points:
    seed, device, ids = None, "cpu", slice(None)
    def register(self, case):
        known = case.moving_landmarks()
        found = Landmarks(known.ids[self.ids], known.points[self.ids] + 2)
        return Registration(AffineMap(), AffineMap(), landmarks=found)
class Some(Points):
    ids = slice(1, None)
"""
    path, case = _file(tmp_path, text), make_prepared(shape=(12, 13, 14))
    folder = run(make_registrar("points", Settings(), own=f"{path}:Points"), case, tmp_path / "out")
    known = case.moving_landmarks()
    assert known is not None
    np.testing.assert_allclose(read_landmarks(folder / "landmarks.csv").points, known.points + 2, atol=1e-3)
    with pytest.raises(LandmarkError, match=f"there is no landmark {known.ids[0]}$"):
        run(make_registrar("some", Settings(), own=f"{path}:Some"), case, tmp_path / "out")
    assert not (tmp_path / "out" / "some").exists()


def test_something_else_returned(make_prepared: Callable[..., PreparedCase], tmp_path: Path) -> None:
    path = _file(tmp_path, "class A:\n    seed, device = None, 'cpu'\n    def register(self, case):\n        return 1")
    with pytest.raises(SettingsError, match=r"mine\.py:A: returned a int"):
        make_registrar("mine", Settings(), own=f"{path}:A").register(make_prepared(shape=(12, 13, 14)))


def test_the_documented_example(make_prepared: Callable[..., PreparedCase], tmp_path: Path) -> None:
    code = re.findall(r"^```python\n(.*?)^```", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
    name = re.findall(r"--registrar centres=my/(centres.py:\w+)", DOCUMENTED.read_text(encoding="utf-8"))[0]
    (tmp_path / "centres.py").write_text(code)
    case = make_prepared(shape=(24, 25, 26))
    shifted = np.roll(case.array("moving_mask"), 2, axis=0)
    np.save(case.folder / "moving_mask.npy", shifted)
    result = make_registrar("centres", Settings(), own=f"{tmp_path}/{name}").register(case)
    ijk = [np.argwhere(case.array(f"{side}_mask")).mean(axis=0) for side in ("fixed", "moving")]
    fixed, moving = (case.grid.affine[:3, :3] @ point * (-1, -1, 1) + case.grid.origin for point in ijk)
    np.testing.assert_allclose(result.pull_back(fixed[None]), case.prealignment(moving[None]), atol=1e-6)
    np.testing.assert_allclose(result.push_forward(result.pull_back(fixed[None])), fixed[None], atol=1e-6)
