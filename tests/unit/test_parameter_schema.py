"""Schema, configuration and `Settings` say the same, and every setting reaches the code that reads it."""

from __future__ import annotations

import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import wssamnet
from wssamnet.settings import PRESETS, Settings

ROOT = Path(wssamnet.__file__).parents[1]
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
STEPS = {
    "preprocess": ("preprocessing",),
    "segmentation": ("training/segmentation.py",),
    "pretraining": ("training/pretraining.py",),
    "registration": ("training/registration.py",),
    "voxelmorph": ("training/voxelmorph.py", "models/voxelmorph.py"),
}
TRAINING = ("segmentation", "pretraining", "registration", "voxelmorph")


def _properties() -> dict[str, dict[str, Any]]:
    schema = json.loads((ROOT / "nextflow_schema.json").read_text(encoding="utf-8"))
    assert [reference["$ref"] for reference in schema["allOf"]] == [f"#/$defs/{name}" for name in schema["$defs"]]
    return {name: entry for group in schema["$defs"].values() for name, entry in group["properties"].items()}


PROPERTIES = _properties()
OF_THE_PIPELINE = {name: entry for name, entry in PROPERTIES.items() if "x-steps" not in entry}


def _configured() -> dict[str, str]:
    text = (ROOT / "nextflow.config").read_text(encoding="utf-8")
    block = re.search(r"^params \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    return dict(re.findall(r"^ +(\w+) = (.*)$", block.group(1), re.MULTILINE))


def _reads(*places: str) -> set[str]:
    """Names of the settings that some files of the package read."""
    found: set[str] = set()
    for place in places:
        path = ROOT / "wssamnet" / place
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            found |= set(re.findall(r"settings\.([a-z]\w*)", file.read_text(encoding="utf-8")))
    return found & set(Settings.model_fields)


def _steps(name: str) -> set[str]:
    return set(PROPERTIES[name]["x-steps"])


def test_every_setting_is_a_parameter_and_nothing_else_claims_to_be_one() -> None:
    assert set(PROPERTIES) - set(OF_THE_PIPELINE) == set(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_parameter_says_what_its_setting_says(name: str) -> None:
    field, entry = Settings.model_fields[name], PROPERTIES[name]
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    bounds = {BOUNDS[key]: getattr(item, key) for item in field.metadata for key in BOUNDS if hasattr(item, key)}
    assert entry["description"] == field.description
    assert entry.get("default") == default
    assert {key: entry[key] for key in BOUNDS.values() if key in entry} == bounds
    annotation = field.annotation
    if isinstance(annotation, types.UnionType):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    if typing.get_origin(annotation) is typing.Literal:
        assert entry["enum"] == list(typing.get_args(annotation))
    else:
        names = {bool: "boolean", int: "integer", float: "number"}
        assert entry["type"] == names.get(annotation, "string")


def test_the_schema_knows_what_the_preset_changes() -> None:
    best = {name: entry["x-best"] for name, entry in PROPERTIES.items() if "x-best" in entry}
    assert best == PRESETS["best"]
    assert set(PRESETS) == {"paper", "best"}, (
        "a further preset needs its values in the schema: ablations start from them"
    )
    assert PRESETS["paper"] == {}


def test_the_configuration_has_every_parameter_with_its_default() -> None:
    configured = _configured()
    assert list(configured) == list(PROPERTIES)
    for name, text in configured.items():
        if name in OF_THE_PIPELINE:
            value = OF_THE_PIPELINE[name].get("default")
            assert text == ("null" if value is None else f"'{value}'" if isinstance(value, str) else json.dumps(value))
        else:
            assert text == "null", f"{name}: the preset must be able to set it"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_given_every_setting_that_its_code_reads(step: str) -> None:
    assert {name for name in _reads(*STEPS[step]) if step not in _steps(name)} == set()


def test_voxelmorph_is_trained_again_for_no_setting_that_it_does_not_read() -> None:
    read = _reads(*STEPS["voxelmorph"], "training/dataset.py", "training/stage.py") | {"preset"}
    assert {name for name in PROPERTIES if name not in OF_THE_PIPELINE and "voxelmorph" in _steps(name)} <= read


def test_the_trainings_are_given_every_setting_that_networks_and_losses_read() -> None:
    read = _reads("training", "models", "losses")
    assert {name for name in read if not _steps(name) & set(TRAINING)} == set()


def test_a_registrar_is_given_every_setting_that_its_making_reads() -> None:
    read = _reads("registration/methods.py")
    assert {name for name in read if not any(step.startswith("register_") for step in _steps(name))} == set()


def test_a_preset_reaches_every_step_whose_settings_it_changes() -> None:
    changed = {name for values in PRESETS.values() for name in values}
    assert {name for name in changed if not _steps(name) <= _steps("preset")} == set()


@pytest.mark.parametrize("name", ["ants_preset", "methods", "error"])
def test_choices_agree_with_the_code(name: str) -> None:
    from wssamnet.evaluation.errors import KINDS
    from wssamnet.registration.ants import PRESETS as ANTS_PRESETS
    from wssamnet.registration.methods import METHODS

    entry = OF_THE_PIPELINE[name]
    known = {"ants_preset": set(ANTS_PRESETS), "methods": set(METHODS), "error": set(KINDS)}[name]
    offered = set(entry.get("enum") or entry["x-items"])
    assert offered <= known
    assert name == "error" or offered == known


def test_the_methods_are_named_alike_everywhere() -> None:
    from wssamnet.evaluation.results import ORDER
    from wssamnet.registration.methods import METHODS, OPTIONAL

    entry = OF_THE_PIPELINE["methods"]
    assert tuple(entry["x-items"]) == METHODS == ORDER
    assert entry["x-optional"] == list(OPTIONAL)
    assert set(entry["x-named-by"]) <= set(OF_THE_PIPELINE)
    # main.nf leaves the other methods' files out of a method's digest by these names
    refined = {"refinement", "wssamnet_refined"}
    files = {"refined" if name in refined else name for name in METHODS} | {"own"}
    assert [name for name in files if not (ROOT / "wssamnet" / "registration" / f"{name}.py").is_file()] == []
