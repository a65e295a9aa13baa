"""From scans to prepared cases: box, intensity, affine pre-alignment, ROI masks."""
