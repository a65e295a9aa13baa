"""From scans to prepared cases: box, intensity, affine pre-alignment, ROI masks."""

from wssamnet.preprocessing.prepare import prepare_case
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared

__all__ = ["PreparedCase", "load_prepared", "prepare_case"]
