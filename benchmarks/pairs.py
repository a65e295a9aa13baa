"""A pair from files to files beside ANTs, and the time per case as the number of cases in one task grows.

    python benchmarks/pairs.py [--size quarter|half|full ...] [--only pair ...] [--out pairs.csv]

Imports and model loading are not counted, for nobody. The networks are untrained: the time is the same. ANTs reads
the scans as they are, ours read what `preprocess` left of them; "from scans" includes the preprocessing.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness import Jobs, Shape, Step, main

from kernels import displacement, pair

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is imported


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pairs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def scans(folder: Path, shape: Shape) -> Any:
    """A synthetic case of 240 mm: a textured brain, and the same brain displaced by up to some voxels."""
    import numpy as np
    from wssamnet.cohort.cases import Case, Scan
    from wssamnet.geometry import Grid
    from wssamnet.images import Volume, write_image
    from wssamnet.kernels.warping import warp

    fixed = pair(shape)[0].numpy()[0]
    moving = warp(fixed, displacement(shape).detach().numpy()[0])
    grid = Grid(shape, np.diag([240 / shape[0]] * 3 + [1.0]))
    files = {}
    for name, image in (("fixed", fixed), ("moving", moving)):
        files[name] = folder / f"{name}.nii.gz"
        write_image(files[name], Volume((1000 * image[0]).astype(np.int16), grid))
    return Case("case", *(Scan({"t1ce": files[name]}) for name in ("fixed", "moving")))


def _registrar(who: str, folder: Path) -> Any:
    from wssamnet.models.persistence import build_model, save_model
    from wssamnet.registration.methods import make_registrar
    from wssamnet.settings import make_settings

    settings = make_settings("best", {"refinement": "accurate" if "accurate" in who else "fast"})
    if "wssamnet" not in who:
        return make_registrar("refinement", settings)
    model = folder / "model"
    save_model(model, build_model("wssamnet", settings, 1), kind="wssamnet", settings=settings, channels=1)
    return make_registrar("wssamnet_refined" if "refined" in who else "wssamnet", settings, model=model)


def one_pair(who: str, shape: Shape) -> Step:
    """Everything between two files and the warped image with both displacement fields."""
    folder = _folder()
    case = scans(folder, shape)
    if who.startswith("ants"):
        import ants

        def classical() -> None:
            images = [ants.image_read(str(scan.images["t1ce"])) for scan in (case.fixed, case.moving)]
            found = ants.registration(*images, type_of_transform="SyN", outprefix=str(folder / "ants_"))
            ants.image_write(found["warpedmovout"], str(folder / "warped.nii.gz"))

        return classical
    from wssamnet.preprocessing.prepare import prepare_case
    from wssamnet.registration.batch import register_cases
    from wssamnet.settings import make_settings

    registrar = _registrar(who, folder)
    prepared = prepare_case(case, make_settings("best"), folder / "prepared")

    def step() -> None:
        if "from scans" in who:
            prepare_case(case, make_settings("best"), folder / "prepared")
        register_cases(registrar, [prepared], folder / "out")

    return step


def cases_in_a_task(who: str, shape: Shape) -> Step:
    """One call of `register_cases` on so many cases."""
    import json

    from wssamnet.preprocessing.prepare import prepare_case
    from wssamnet.registration.batch import register_cases
    from wssamnet.settings import make_settings

    folder = _folder()
    first = prepare_case(scans(folder, shape), make_settings("best"), folder / "prepared")
    prepared = [first]
    for number in range(1, int(who.split()[0])):
        other = first.with_name(f"case_{number}")
        shutil.copytree(first, other)
        record = json.loads((other / "prepared.json").read_text())
        (other / "prepared.json").write_text(json.dumps({**record, "id": other.name}))
        prepared.append(other)
    registrar = _registrar("fast", folder)
    return lambda: register_cases(registrar, prepared, folder / "out")


JOBS: Jobs = {
    "pair": (
        one_pair,
        [
            "wssamnet_refined fast",
            "refinement fast",
            "refinement accurate",
            "wssamnet network",
            "refinement fast, from scans",
            "ants SyN defaults",
        ],
    ),
    "cases_in_a_task": (cases_in_a_task, ["1 case", "10 cases", "50 cases"]),
}

if __name__ == "__main__":
    main(__doc__, __file__, JOBS, small=(60, 60, 39), sizes=("half", "full"))
