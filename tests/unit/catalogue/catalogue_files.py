"""Entries: files that one step hands to the next, and that a stranger may hand to us."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from catalogue_outputs import _foreign, _prepare
from catalogue_place import Entry, Payload, Place
from wssamnet.cohort import read_cohort
from wssamnet.files import write_json
from wssamnet.preprocessing import prepare_case
from wssamnet.settings import make_settings

SMALL = {"features": 2, "levels": 2, "segmentation_steps": 2, "prealign": "identity"}
SETS = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]


def _case(place: Place, edit: Callable[[dict[str, object]], object] | str) -> object:
    """Harm the case's description that ``wssamnet preprocess`` reads."""
    _prepare(place)
    path = place.root / "case.json"
    if isinstance(edit, str):
        return path.write_text(edit)
    content = json.loads(path.read_text())
    edit(content)
    return path.write_text(json.dumps(content))


def _prepared(place: Place, method: str = "identity", *more: object) -> Path:
    """Let the command be ``wssamnet register-cases`` of the prepared first case."""
    settings = make_settings(values=SMALL)
    folder = prepare_case(read_cohort(place.cohort)[0], settings, place.root / "prepared")
    place.words = ["register-cases", method, folder, "--out", place.out, *more]
    return folder


def _record(place: Place, edit: Callable[[dict[str, object]], object] | str) -> object:
    path = _prepared(place) / "prepared.json"
    content = json.loads(path.read_text())
    if isinstance(edit, str):
        return path.write_text(edit)
    edit(content)
    return path.write_text(json.dumps(content))


def _array(place: Place, harm: Callable[[Path], object]) -> object:
    return harm(_prepared(place) / "fixed.npy")


def _pickled(place: Place) -> Callable[[Path], object]:
    return lambda path: np.save(path, np.array([Payload(place.watched)], dtype=object), allow_pickle=True)


def _model(place: Place, harm: Callable[[Path], object], wanted: str = "wssamnet") -> object:
    """A model folder of WSSAMNet, harmed."""
    from wssamnet.models.persistence import build_model, save_model

    settings = make_settings(values={"features": 2, "levels": 2})
    folder = place.root / "model"
    save_model(folder, build_model("wssamnet", settings, 1), kind="wssamnet", settings=settings, channels=1)
    _prepared(place, wanted, "--model", folder)
    return harm(folder)


def _description(folder: Path, **changes: object) -> object:
    path = folder / "settings.json"
    content = json.loads(path.read_text())
    for name, value in changes.items():
        (content if name in content else content["settings"])[name] = value
    return path.write_text(json.dumps(content))


def _checkpoints(place: Place, harm: Callable[[Path], object], names: tuple[str, ...]) -> None:
    """Let the command go on with a training whose checkpoints are harmed."""
    from wssamnet.training.checkpoint import Keeping
    from wssamnet.training.segmentation import train_segmentation

    folder, kept = _prepared(place), place.root / "kept"
    train_segmentation("fixed", [folder], make_settings(values=SMALL), place.out, keeping=Keeping(kept, 0))
    shutil.rmtree(place.out)
    for name in names:
        harm(next(kept.iterdir()) / f"{name}.pt")
    place.words = ["train-segmentation", "fixed", folder, "--out", place.out, "--checkpoint-dir", kept, *SETS]


def _training(place: Place, *prepared: dict[str, object], **values: object) -> None:
    """Let the command be the first training on the first case, prepared in several ways."""
    case = read_cohort(place.cohort)[0]
    folders = [
        prepare_case(case, make_settings(values=SMALL | one), place.root / f"prepared_{number}")
        for number, one in enumerate(prepared, start=1)
    ]
    place.words = ["train-segmentation", "fixed", *folders, "--out", place.out, *SETS]
    place.words += [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def _malicious(place: Place) -> Callable[[Path], object]:
    import torch

    return lambda path: torch.save({"key": "k", "code": Payload(place.watched)}, path)


def _trained(place: Place) -> None:
    assert {"model.safetensors", "settings.json", "training.json"} <= {path.name for path in place.out.iterdir()}
    assert json.loads((place.out / "training.json").read_text())["steps"] == 2


def _evaluated(place: Place, harm: Callable[[Path], object]) -> object:
    """Let the command be ``wssamnet evaluate`` of a registration by identity, harmed."""
    from wssamnet.registration.batch import register_cases
    from wssamnet.registration.identity import IdentityRegistrar

    folder = _prepared(place)
    (registration,) = register_cases(IdentityRegistrar(), [folder], place.root / "registration")
    write_json(place.root / "case.json", read_cohort(place.cohort)[0].to_dict())
    place.words = ["evaluate", registration, "--prepared", folder, "--cases", place.root / "case.json"]
    place.words += ["--out", place.out]
    return harm(registration)


def _problem(place: Place, said: str) -> None:
    metrics = json.loads((place.out / "identity" / "BraTSReg_001" / "metrics.json").read_text())
    assert said in " ".join(metrics["problems"])


def _method(folder: Path, name: str) -> object:
    record = json.loads((folder / "run.json").read_text())
    return (folder / "run.json").write_text(json.dumps(record | {"method": name}))


STEPS = [
    Entry("case: an id that climbs out of the folder", lambda p: _case(p, lambda c: c.update(id="../../x")),
        says="case.json: the id '../../x' cannot name a folder everywhere (letters, digits, '.', '_' and '-', at "
             "most 100, a letter or digit first)"),
    Entry("case: no JSON", lambda p: _case(p, "{"),
        says="case.json: does not describe a case (made by `wssamnet check`)"),
    Entry("case: an unknown frame of the landmarks", lambda p: _case(
        p, lambda c: c["fixed"].update(landmark_coordinates="mni")),
        says="case.json: does not describe a case (made by `wssamnet check`)"),
    Entry("case: a list in place of an object", lambda p: _case(p, "[1, 2]"),
        says="case.json: does not describe a case (made by `wssamnet check`)"),
    Entry("case: a file that has gone since the check", lambda p: (_prepare(p), p.file("01_t1ce").unlink()),
        says="BraTSReg_001_01_0106_t1ce.nii.gz: there is no such file (a .nii or .nii.gz file)"),
    Entry("prepared case: no JSON", lambda p: _record(p, ""),
        says="prepared/BraTSReg_001/prepared.json: does not describe a prepared case: Expecting value: line 1 "
             "column 1 (char 0) (prepare the case again)"),
    Entry("prepared case: a list in place of an object", lambda p: _record(p, "[1, 2]"),
        says="prepared/BraTSReg_001/prepared.json: does not describe a prepared case: no object (prepare the case "
             "again)"),
    Entry("prepared case: an id that climbs out of the folder", lambda p: _record(
        p, lambda c: c.update(id="../../../x")),
        says="prepared/BraTSReg_001/prepared.json: the id '../../../x' cannot name a folder everywhere (letters, "
             "digits, '.', '_' and '-', at most 100, a letter or digit first)"),
    Entry("prepared case: no grid", lambda p: _record(p, lambda c: c.pop("grid")),
        says="prepared/BraTSReg_001/prepared.json: does not describe a prepared case: 'grid' is missing (prepare "
             "the case again)"),
    Entry("prepared case: a truncated array", lambda p: _array(
        p, lambda path: path.write_bytes(path.read_bytes()[:3000])),
        says="prepared/BraTSReg_001/fixed.npy: is no array that can be read: mmap length is greater than file "
             "size (prepare the case again)"),
    Entry("prepared case: an array with Python code", lambda p: _array(p, _pickled(p)),
        says="prepared/BraTSReg_001/fixed.npy: is no array that can be read: Array can't be memory-mapped: Python "
             "objects in dtype. (prepare the case again)"),
    Entry("prepared case: another folder", lambda p: (_prepared(p), p.words.__setitem__(2, p.cohort)),
        says="cohort: is not a prepared case (made by `wssamnet preprocess`)"),
    Entry("registration: a method's name that climbs out of the folder", lambda p: _evaluated(
        p, lambda folder: _method(folder, "../../x")),
        says="registration/identity/BraTSReg_001: gives a method '../../x' that cannot name a folder (letters, "
             "digits, '.', '_' and '-', at most 100, a letter or digit first)"),
    Entry("registration: of another case", lambda p: (
        _evaluated(p, lambda folder: None), p.words.__setitem__(1, shutil.copytree(
            p.root / "registration/identity/BraTSReg_001", p.root / "registration/identity/BraTSReg_002"))),
        says="registration/identity/BraTSReg_002: case 'BraTSReg_002' is registered, but not among --prepared "
             "(give --prepared)"),
    Entry("registration: no landmarks", lambda p: _evaluated(p, lambda folder: (folder / "landmarks.csv").unlink()),
          accepted="judged without errors, and told in the report",
          right=lambda p: _problem(p, "no warped landmarks: landmarks.csv")),
    Entry("registration: a truncated field", lambda p: _evaluated(p, lambda folder: (
        (path := folder / "fixed_to_moving.nii.gz").write_bytes(path.read_bytes()[: path.stat().st_size // 2]))),
        accepted="judged without regularity, and told in the report",
        right=lambda p: _problem(p, "fixed_to_moving.nii.gz: is not a readable NIfTI image")),
    Entry("registration: run.json is no object", lambda p: _evaluated(
        p, lambda folder: (folder / "run.json").write_text("[3]")), accepted="judged without time, and told",
        right=lambda p: _problem(p, "run.json cannot be read")),
]  # fmt: skip

MODELS = [
    Entry("a training's output folder holds foreign files", lambda p: (_foreign(p), _training(p, {})),
        says="out: holds files that are no former result of this command: thesis.txt (another --out)"),
    Entry("none is given", lambda p: _prepared(p, "wssamnet"),
        says="--model: is missing (wssamnet needs the folder of a trained model)"),
    Entry("an empty folder", lambda p: ((p.root / "m").mkdir(), _prepared(p, "wssamnet", "--model", p.root / "m")),
        says="m: holds no model: settings.json is missing (a folder that one of the `wssamnet train-…` verbs wrote)"),
    Entry("another kind", lambda p: _model(p, lambda folder: None, "voxelmorph"),
        says="model: holds a wssamnet model (a voxelmorph model is wanted here)"),
    Entry("truncated weights", lambda p: _model(p, lambda folder: (
        (path := folder / "model.safetensors").write_bytes(path.read_bytes()[:-100]))),
        says="model/model.safetensors: is damaged or not a safetensors file: Error while deserializing header: "
             "incomplete metadata, file not fully covered (copy or train it again)"),
    Entry("weights that are Python code (pickle)", lambda p: _model(
        p, lambda folder: (folder / "model.safetensors").write_bytes(pickle.dumps(Payload(p.watched)))),
        says="model/model.safetensors: is damaged or not a safetensors file: Error while deserializing header: "
             "header too large (copy or train it again)"),
    Entry("weights whose header claims 2^62 bytes", lambda p: _model(
        p, lambda folder: (folder / "model.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}")),
        says="model/model.safetensors: is damaged or not a safetensors file: Error while deserializing header: "
             "header too large (copy or train it again)"),
    Entry("weights of another network", lambda p: _model(p, lambda folder: _description(folder, features=4)),
        says="model/model.safetensors: does not fit the network that settings.json describes: size mismatch for "
             "segmentation_fixed.encoder.0.0.weight: copying a param with shape torch.Size([2, 1, 3, 3, 3]) from "
             "checkpoint, the shape in current model is torch.Size([4, 1, 3, 3, 3]). (the weights that belong to it)"),
    Entry("a description out of range", lambda p: _model(p, lambda folder: _description(folder, levels=99)),
        says="model/settings.json: is damaged: 1 values are not allowed (a folder that one of the `wssamnet "
             "train-…` verbs wrote)"),
    Entry("a description that asks for 10^9 channels", lambda p: _model(
        p, lambda folder: _description(folder, channels=10**9)),
        says="model/model.safetensors: holds less than the network that settings.json describes (the weights that "
             "belong to it)"),
    Entry("a description that asks for 10^6 feature maps", lambda p: _model(
        p, lambda folder: _description(folder, features=10**6)),
        says="model/model.safetensors: holds less than the network that settings.json describes (the weights that "
             "belong to it)"),
    Entry("a description that is no JSON", lambda p: _model(
        p, lambda folder: (folder / "settings.json").write_text("{")),
        says="model/settings.json: is damaged: JSONDecodeError('Expecting property name enclosed in double "
             "quotes: line 1 column 2 (char 1)') (a folder that one of the `wssamnet train-…` verbs wrote)"),
    Entry("training: cases of two voxel sizes", lambda p: _training(p, {"spacing_mm": 8}, {"spacing_mm": 10}),
        says="prepared_2/BraTSReg_001: is seen with voxels of 10 x 10 x 10 mm, BraTSReg_001 of 8 x 8 x 8 mm (set "
             "spacing_mm, or a network_spacing_mm above both)"),
    Entry("training: cases of two voxel sizes, and a larger one for the networks", lambda p: _training(
        p, {"spacing_mm": 8}, {"spacing_mm": 10}, network_spacing_mm=12),
        accepted="the networks see all at that size", right=_trained),
    Entry("training: ROIs that the networks' voxels are too large for", lambda p: _training(
        p, {"roi_voxels": 1}, network_spacing_mm=12),
        says="prepared_1/BraTSReg_001: less than half of fixed_roi.npy is left at voxels of 12 mm (prepare it with a "
             "larger roi_voxels, or set a smaller network_spacing_mm)"),
    Entry("checkpoint: the last one is damaged", lambda p: _checkpoints(
        p, lambda path: path.write_bytes(path.read_bytes()[:500]), ("last",)),
        accepted="the one before it is used, and told", right=_trained),
    Entry("checkpoint: all are damaged", lambda p: _checkpoints(
        p, lambda path: path.write_bytes(b""), ("last", "previous", "best")),
        accepted="the training starts again, and told", right=_trained),
    Entry("checkpoint: all are Python code (pickle)", lambda p: _checkpoints(
        p, _malicious(p), ("last", "previous", "best")),
        accepted="none is run; the training starts again, and told", right=_trained),
]  # fmt: skip
