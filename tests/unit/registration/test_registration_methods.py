"""Methods by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from wssamnet.errors import ModelError, SettingsError
from wssamnet.registration.methods import METHODS, make_registrar
from wssamnet.settings import Settings


@pytest.mark.parametrize("method", ["identity", "affine", "ants"])
def test_built_by_name(method: str) -> None:
    registrar = make_registrar(method, Settings())
    assert registrar.name == method
    assert registrar.device == "cpu"
    assert method in METHODS


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("wssamnt", "method: 'wssamnt' is not a method (did you mean wssamnet?)"),
        ("", f"method: '' is not a method (one of {', '.join(METHODS)})"),
        ("wssamnet", "--model: is missing (wssamnet needs the folder of a trained model)"),
        ("voxelmorph", "--model: is missing (voxelmorph needs the folder of a trained model)"),
    ],
)
def test_refused(method: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_registrar(method, Settings())
    assert str(caught.value) == message


@pytest.mark.parametrize("method", ["wssamnet", "voxelmorph"])
def test_no_model_in_the_folder(method: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        make_registrar(method, Settings(), model=tmp_path)


def test_only_what_a_method_needs_is_loaded() -> None:
    code = (
        "import sys\n"
        "from wssamnet.registration.methods import make_registrar\n"
        "from wssamnet.settings import Settings\n"
        "make_registrar('affine', Settings())\n"
        "sys.exit(', '.join(m for m in ('torch', 'ants', 'voxelmorph') if m in sys.modules) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
