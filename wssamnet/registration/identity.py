"""The state before registration, as a method of its own."""

from __future__ import annotations

from wssamnet.fields import identity
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration


class IdentityRegistrar:
    """Moves nothing: what every other method is compared with."""

    name = "identity"
    seed: int | None = None
    device = "cpu"

    def register(self, case: PreparedCase) -> Registration:
        """Leave every point where it is, whatever the pre-alignment found."""
        return Registration(identity(), identity(), {"prealigned_by": None})
