"""The affine pre-alignment alone: where the learned methods and ANTs start."""

from __future__ import annotations

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration


class AffineRegistrar:
    """Hands on the affine that preprocessing found (the identity where that was better).

    The seconds of its search belong to preprocessing; ``prepared.json`` holds them.
    """

    name = "affine"
    seed: int | None = None
    device = "cpu"

    def register(self, case: PreparedCase) -> Registration:
        """Both directions of the case's pre-alignment; the inverse is exact."""
        return Registration(case.prealignment, case.prealignment.inverse())
