"""A convolution in bfloat16: of the input's own type outside, near the exact one, and only where it is wanted."""

from __future__ import annotations

import pytest
import torch
from wssamnet.models.convolution import Convolution, in_bfloat16


@pytest.mark.parametrize(("wanted", "native"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("shape", [(1, 4, 6, 5, 4), (1, 4, 80, 80, 2)], ids=["taken twice", "as it is"])
def test_bfloat16(wanted: bool, native: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    torch.manual_seed(0)
    layer, image = Convolution(4, 3), torch.randn(shape)
    with torch.inference_mode():
        exact = layer(image)
        with in_bfloat16(wanted):
            found = layer(image)
    assert found.dtype == torch.float32
    assert torch.equal(found, exact) != (wanted and native)
    torch.testing.assert_close(found, exact, atol=0.03, rtol=0.01)
