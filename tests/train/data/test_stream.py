"""Data that stay on the disk: the samples, and so the bits, of data in memory, however much of them there is."""

import io
import re
import resource
import zipfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fbmon import recipe as recipes
from fbmon.errors import DataError, UsageError
from fbmon.events import Event, ProgressMade
from fbmon.train.data.load import load
from fbmon.train.data.stream import Stream
from fbmon.train.loop import train
from tests.shell import Fbmon

CPU = torch.device("cpu")
GENERATOR = np.random.default_rng(0)
INPUTS: dict[str, NDArray[np.generic]] = {
    "colours first": GENERATOR.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8),
    "colours last": GENERATOR.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
    "numbers": GENERATOR.normal(size=(40, 5)),
    "numbers of the other end": GENERATOR.normal(size=(40, 5)).astype(">f4"),
    "tokens": GENERATOR.integers(0, 300, (40, 7)).astype(np.uint16),
}


@pytest.fixture
def mine(tiny: Path) -> Path:
    """A recipe of the user's own data, which are still to be written."""
    text = f'name = "mine"\nextends = "{tiny.name}"\n\n[data]\ndataset = "mine.npz"\nval_share = 0.3\n'
    file = tiny.parent / "mine.toml"
    file.write_text(f'{text}\n[model]\nname = "mlp"\n')
    return file


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_streamed_samples_are_those_in_memory(inputs: str, save: object, mine: Path) -> None:
    assert callable(save)
    save(mine.parent / "mine.npz", x=INPUTS[inputs], y=np.arange(40) % 4)
    network = "torch.nn:Embedding" if inputs == "tokens" else "mlp"  # whose name alone is looked at
    section = recipes.load(mine, [f"model.name={network}", "data.limit=20"]).data
    memory = load(section.model_copy(update={"stream": False}), None, CPU, lambda _: None)
    streamed = load(section.model_copy(update={"stream": True}), None, CPU, lambda _: None)
    assert (memory.is_streamed, streamed.is_streamed) == (False, True)
    assert (streamed.digest, streamed.facts) == (memory.digest, memory.facts)
    for one, other in ((memory.train, streamed.train), (memory.val, streamed.val)):
        assert torch.equal(one.inputs[:], other.inputs[:])
        assert torch.equal(one.targets, other.targets)
    assert len(streamed.train) == 20


@hypothesis.given(st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=8), max_size=6), st.data())
def test_whatever_is_expected_what_is_asked_for_comes(blocks: list[list[int]], data: st.DataObject) -> None:
    inputs = torch.arange(60).reshape(30, 2)
    stream = Stream.of(inputs).only(torch.arange(29, -1, -1))
    stream.expect([torch.tensor(block) for block in blocks])
    some = st.sampled_from(blocks) if blocks else st.just([3])
    for block in [*blocks[: data.draw(st.integers(0, 6))], data.draw(some), *blocks]:
        assert torch.equal(stream[torch.tensor(block)], inputs.flip(0)[torch.tensor(block)])
    assert torch.equal(stream[4:9], inputs.flip(0)[4:9])


@pytest.mark.parametrize(
    "settings",
    [
        ("gradient.order=shuffled",),
        ("gradient.update=block",),
        ("penalty.strength=0.5", "data.copies=2", "data.augment=shift"),
    ],
)
def test_a_run_on_streamed_data_has_the_bits_of_one_on_data_in_memory(
    settings: tuple[str, ...], mine: Path, tmp_path: Path
) -> None:
    np.savez(mine.parent / "mine.npz", x=INPUTS["colours last"], y=np.arange(40) % 4)
    for name in ("false", "true"):
        recipe = recipes.load(mine, ["steps=3", "gradient.block=8", f"data.stream={name}", *settings])
        assert train(recipe, "cpu", None, tmp_path / name, lambda _: None, lambda: None) == "finished"
    files = [tmp_path / name / "step-00000003" / "tensors.safetensors" for name in ("false", "true")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_damage_is_told_as_the_file_is_opened_and_as_it_is_cut_off_later(mine: Path, tmp_path: Path) -> None:
    file = mine.parent / "mine.npz"
    np.savez(file, x=INPUTS["colours first"], y=np.arange(40) % 4)
    whole = file.read_bytes()
    recipe = recipes.load(mine, ["data.stream=true", "steps=3", "gradient.block=8"])
    file.write_bytes(whole.replace(INPUTS["colours first"][7].tobytes()[:9], b"otherwise"))
    with pytest.raises(DataError, match=r"mine\.npz: x is damaged: Bad CRC-32"):
        load(recipe.data, None, CPU, lambda _: None)
    file.write_bytes(whole)

    def cut(event: Event) -> None:
        if event == ProgressMade("training", 2, 0, 4):
            file.write_bytes(whole[:1000])

    with pytest.raises(DataError, match=r"mine\.npz: x is cut off"):
        train(recipe, "cpu", None, tmp_path / "checkpoints", cut, lambda: None)


def test_a_compressed_file_for_which_there_is_no_memory_is_refused(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(mine.parent / "mine.npz", x=np.zeros((1000, 8, 8), np.uint8), y=np.arange(1000) % 4)
    recipe = recipes.load(mine)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, resource.RLIM_INFINITY))
    with pytest.raises(
        DataError, match=r"mine\.npz: has 0\.0 GB of compressed inputs, .* saved by numpy\.savez instead"
    ):
        load(recipe.data, None, CPU, lambda _: None)


def test_a_run_goes_on_with_the_samples_it_began_with_or_not_at_all(mine: Path, tmp_path: Path, fbmon: Fbmon) -> None:
    x, y = INPUTS["colours first"], np.arange(40) % 4
    np.savez(mine.parent / "mine.npz", x=x, y=y)
    assert fbmon("run", mine, "--no-ui", "--set", "steps=2", "--name", "one").returncode == 0
    np.savez(mine.parent / "mine.npz", x=x, y=np.roll(y, 1))
    told = f"{mine.parent / 'mine.npz'}: has other samples than when step 2 was saved"
    for command in ("verify", "flatness"):
        refused = fbmon(command, fbmon.run_folder().path.name)
        assert (refused.returncode, told in refused.stderr) == (1, True), refused.stderr
    with pytest.raises(UsageError, match=re.escape(told)):
        train(
            recipes.load(mine, ["steps=4"]),
            "cpu",
            None,
            fbmon.run_folder().checkpoints,
            lambda _: None,
            lambda: None,
            resume=True,
        )


class Sparse(io.FileIO):
    """A file in which long zeros are holes."""

    def write(self, content: object) -> int:
        data = memoryview(content)  # type: ignore[arg-type]
        if len(data) < 4096 or np.frombuffer(data, np.uint8).any():
            return super().write(data)
        self.seek(len(data), io.SEEK_CUR)
        return len(data)


@pytest.mark.parametrize(("gigabytes", "may_use"), [(0.8, 1.5), pytest.param(20.0, 2.0, marks=pytest.mark.slow)])
def test_more_than_memory_holds_is_trained_on(gigabytes: float, may_use: float, mine: Path, fbmon: Fbmon) -> None:
    (mine.parent / "net.py").write_text(
        "from torch import nn\n\ndef net(classes):\n"
        "    return nn.Sequential(nn.AvgPool2d(64), nn.Flatten(), nn.Linear(3, classes))\n"
    )
    samples, zeros = round(gigabytes * 1e9 / 12288), bytes(1 << 24)
    with Sparse(mine.parent / "mine.npz", "w") as file, zipfile.ZipFile(file, "w") as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": (samples, 3, 64, 64)}
            np.lib.format.write_array_header_1_0(member, header)
            for start in range(0, samples * 12288, len(zeros)):
                member.write(zeros[: samples * 12288 - start])
        with archive.open("y.npy", "w") as member:
            np.lib.format.write_array(member, np.arange(samples) % 4)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (round(may_use * 1e9), before[1]))
    try:
        settings = [
            "steps=1",
            "data.limit=100000000",
            "model.name=net.py:net",
            "gradient.block=1024",
            "data.val_share=0.01",
        ]
        ended = fbmon("run", mine, "--no-ui", *(word for setting in settings for word in ("--set", setting)))
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{samples - round(0.01 * samples):,} images" in ended.stdout
