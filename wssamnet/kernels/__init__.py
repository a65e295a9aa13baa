"""The fast numeric cores, free of torch: arrays in, arrays out."""

from pathlib import Path

from wssamnet.kernels.stale import drop_other_sources

drop_other_sources(Path(__file__).parent)  # before numba looks there
