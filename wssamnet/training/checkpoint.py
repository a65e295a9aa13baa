"""The full state of a training in one file, there whole or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from wssamnet.errors import ModelError
from wssamnet.files import written_atomically

LAST = "last.pt"


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values, whole or not at all."""
    with written_atomically(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(path: str | Path, *, key: str) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; tensors and plain values only, never code.

    Args:
        path: the file.
        key: what defines the run; a checkpoint of another run is refused.

    Raises:
        ModelError: damaged, holds more than tensors and plain values, or belongs to another run.
    """
    path = Path(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        refused = "Weights only load failed" in str(error)
        what = "holds more than weights and is refused" if refused else "is damaged"
        raise ModelError(what, path, "delete it to start this training again") from None
    if not isinstance(state, dict) or state.get("key") != key:
        raise ModelError("belongs to a training with other settings or cases", path, "use another checkpoint folder")
    return state
