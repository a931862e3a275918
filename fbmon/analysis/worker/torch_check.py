"""The process that reports on torch here and the data sets in a folder: one line of JSON, for `fbmon doctor`.

python -m fbmon.analysis.worker.torch_check DATA_DIR
"""

import sys
from pathlib import Path

import msgspec
import torch

from fbmon.doctor.torch import Gpu, TorchAnswer
from fbmon.recipe import DATA_SETS
from fbmon.train.data.load import is_there
from fbmon.train.hardware.device import choose_device
from fbmon.train.hardware.precision import emulation
from fbmon.train.hardware.process import set_up


def main() -> None:
    set_up()
    answer = look(Path(sys.argv[1]))
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


def look(data_dir: Path) -> TorchAnswer:
    """Examine torch and the data sets; put every GPU to work for a moment, as one that is listed may still fail."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return TorchAnswer(
        version=str(torch.__version__),
        cuda=torch.version.cuda or "",
        threads=torch.get_num_threads(),
        gpus=[_gpu(number) for number in range(count)],
        has_nccl=torch.distributed.is_nccl_available(),
        emulation=emulation("bfloat16", choose_device("auto")),
        data={name: is_there(name, data_dir) for name, facts in DATA_SETS.items() if facts.archive},
    )


def _gpu(number: int) -> Gpu:
    properties = torch.cuda.get_device_properties(number)
    fault = ""
    try:
        ones = torch.ones(16, 16, device=f"cuda:{number}")
        if float((ones @ ones).sum()) != 16**3:
            fault = "it multiplies wrongly"
    except RuntimeError as error:
        fault = str(error).splitlines()[0]
    return Gpu(properties.name, f"GPU-{properties.uuid}", properties.total_memory / 2**20, fault)


if __name__ == "__main__":
    main()
