"""CIFAR-10 in two parts of 50 MiB, for machines that files reach only in pieces: `python -m tools.parts`.

`pack FOLDER OUT` writes cifar10-a.zip and cifar10-b.zip from the files of cifar-10-batches-py; `unpack PART --to DIR`
writes DIR/cifar-10-batches-py from one part or both, byte for byte, under the MD5 that torchvision expects. Pixels
travel as lossless WebP, everything else of a file as it is.
"""

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.datasets import CIFAR10

PARTS = {
    "cifar10-a.zip": ("data_batch_1", "data_batch_2", "data_batch_3"),
    "cifar10-b.zip": ("data_batch_4", "data_batch_5", "test_batch", "batches.meta"),
}
MD5: dict[str, str] = dict([*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]])
_PIXELS = 10_000 * 3072  # bytes in each file of images
_SIDE = 50  # a sheet is 50 x 50 images


def pack(folder: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for part, names in PARTS.items():
        with zipfile.ZipFile(out / part, "w", zipfile.ZIP_STORED) as archive:
            for name in names:
                _pack_file(archive, name, (folder / name).read_bytes())


def unpack(part: Path, to: Path) -> None:
    """Raises SystemExit if a file is not what it should be."""
    folder = to / CIFAR10.base_folder
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(part) as archive:
        for name in sorted({member.split("/")[0] for member in archive.namelist()} & MD5.keys()):
            content = _unpack_file(archive, name)
            if hashlib.md5(content).hexdigest() != MD5[name]:
                sys.exit(f"{part}: {name} is damaged")
            (folder / name).write_bytes(content)


def _pack_file(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A pickle, in which the images follow the four bytes of their length.
    start = content.find(_PIXELS.to_bytes(4, "little")) + 4
    if start < 4:
        archive.writestr(name, content)
        return
    archive.writestr(f"{name}/head", content[:start])
    archive.writestr(f"{name}/tail", content[start + _PIXELS :])
    images = np.frombuffer(content, np.uint8, _PIXELS, start).reshape(-1, _SIDE, _SIDE, 3, 32, 32)
    for number, sheet in enumerate(images):
        pixels = np.ascontiguousarray(sheet.transpose(0, 3, 1, 4, 2)).reshape(_SIDE * 32, _SIDE * 32, 3)
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, "WEBP", lossless=True, quality=50, method=4, exact=True)
        archive.writestr(f"{name}/{number * _SIDE**2:05d}.webp", packed.getvalue())


def _unpack_file(archive: zipfile.ZipFile, name: str) -> bytes:
    members = sorted(archive.namelist())
    if name in members:
        return archive.read(name)
    sheets = [_sheet(archive.read(one)) for one in members if one.startswith(f"{name}/") and one.endswith(".webp")]
    return archive.read(f"{name}/head") + b"".join(sheets) + archive.read(f"{name}/tail")


def _sheet(packed: bytes) -> bytes:
    pixels = np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
    return pixels.reshape(_SIDE, 32, _SIDE, 32, 3).transpose(0, 2, 4, 1, 3).tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("folder", type=Path)
    packing.add_argument("out", type=Path)
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("parts", type=Path, nargs="+")
    unpacking.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "pack":
        pack(arguments.folder, arguments.out)
        return
    for part in arguments.parts:
        unpack(part, arguments.to)


if __name__ == "__main__":
    main()
