"""The kernel for GPUs, compiled for each kind of them: that needs the compiler only, which comes with Triton."""

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest


@pytest.mark.parametrize("dtype", ["fp32", "fp64"])
@pytest.mark.parametrize("capability", [80, 90, 100], ids=["A100", "H100 and H200", "B200"])
def test_a_gpu_rounds_the_product_and_both_sums_each_for_itself(
    capability: int, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the machine's own instructions, of which DFMA would be a product and a sum rounded together."""
    triton = pytest.importorskip("triton")
    compiler, target = importlib.import_module("triton.compiler"), importlib.import_module("triton.backends.compiler")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernels = importlib.import_module("fbmon.train.mean.kernels")
    signature = {"total": "*fp64", "terms": f"*{dtype}", "magic": "*fp64", "weight": "*fp64", "count": "i32"}
    source = compiler.ASTSource(kernels._add_rounded, signature, {"BLOCK": kernels._BLOCK})

    def operations(options: dict[str, bool]) -> Counter[str]:
        compiled = triton.compile(source, target=target.GPUTarget("cuda", capability, 32), options=options)
        return Counter(re.findall(r"\bD(?:ADD|MUL|FMA)\b", compiled.asm["sass"]))

    found = operations(kernels.OPTIONS)
    assert found["DMUL"] > 0
    assert found == {"DMUL": found["DMUL"], "DADD": 3 * found["DMUL"]}
    assert operations({"enable_fp_fusion": True})["DFMA"] > 0, "the compiler would fuse them if it might"
