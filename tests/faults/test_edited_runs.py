"""Runs that were edited, mixed up, copied or partly lost: refused in one sentence, or gone on with rightly."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fbmon.events import RunEnded, RunStarted, TrainingStarted
from fbmon.run import RunFolder, checkpoint
from fbmon.run.checkpoints import path_of, steps
from fbmon.run.journal import last_event, seal
from tests.conftest import Ended
from tests.shell import Fbmon, told


@pytest.fixture
def ended(finished: dict[str, Ended], fbmon: Fbmon) -> RunFolder:
    """A finished run, to be changed; made to look like one that was stopped before its end."""
    whole = finished["plain"].folder
    fbmon.runs_dir.mkdir()
    return RunFolder(shutil.copytree(whole.path, fbmon.runs_dir / whole.name))


def edit(folder: RunFolder, before: str, after: str) -> int:
    """Change a line of the resolved recipe and return its number."""
    text = folder.resolved.read_text()
    assert before in text
    folder.resolved.write_text(text.replace(before, after))
    return text[: text.index(before)].count("\n") + 1


def files(folder: RunFolder) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


COMMANDS = ["resume", "verify", "flatness", "landscape"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_faulty_recipe_is_one_sentence_and_nothing_starts(ended: RunFolder, fbmon: Fbmon, command: str) -> None:
    line = edit(ended, "lr = 0.1\n", 'lr = "much"\n')
    before = files(ended)
    said = fbmon(command, ended.name)
    fault = f'{ended.resolved}:{line}: optimizer.lr = "much": must be a number'
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"fbmon: {fault}\n")
    assert files(ended) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_changed_setting_is_named_and_nothing_starts(ended: RunFolder, fbmon: Fbmon, command: str) -> None:
    edit(ended, "lr = 0.1\n", "lr = 0.2\n")
    before = files(ended)
    said = fbmon(command, ended.name)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines() == [
        f"fbmon: {ended.resolved}: changed since step 40 was saved: optimizer.lr was 0.1 and is 0.2",
        "       undo the change, or start a new run: `fbmon run RECIPE --set optimizer.lr=0.2`",
    ]
    assert files(ended) == before


def remove(name: str) -> Callable[[RunFolder], object]:
    return lambda folder: (folder.path / name).unlink()


def make_file(name: str) -> Callable[[RunFolder], object]:
    def make(folder: RunFolder) -> None:
        shutil.rmtree(folder.path / name)
        (folder.path / name).touch()

    return make


def of_another_run(folder: RunFolder) -> None:
    folder.journal.write_bytes(seal(RunStarted("other-run", "other", 3, "0", 1)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove("resolved.toml"), "{}/resolved.toml: cannot be read: No such file or directory"),
        (make_file("checkpoints"), "{}/checkpoints: is a file, but must be a folder"),
        (make_file("inbox"), "{}/inbox: is a file, but must be a folder"),
        (of_another_run, "{}/journal.jsonl: belongs to another run, other-run"),
    ],
    ids=["no recipe", "checkpoints", "inbox", "journal"],
)
def test_a_folder_that_cannot_be_gone_on_with_is_refused(
    ended: RunFolder, fbmon: Fbmon, damage: Callable[[RunFolder], object], words: str
) -> None:
    damage(ended)
    before = files(ended)
    said = fbmon("resume", ended.name)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines()[0] == "fbmon: " + words.format(ended.path)
    assert files(ended) == before


def test_a_copy_that_has_lost_this_and_that_and_is_to_take_more_steps_goes_on_under_another_name(
    ended: RunFolder, fbmon: Fbmon
) -> None:
    """Of its two states the newer one comes from another run."""
    copy = RunFolder(ended.path.rename(ended.path.with_name("copy")))
    edit(copy, "steps = 40\n", "steps = 43\n")
    copy.meta.write_text("{")
    copy.recipe.unlink()
    shutil.rmtree(copy.inbox)
    own = steps(copy.checkpoints)[-1]
    foreign = path_of(copy.checkpoints, own + 1)
    shutil.copytree(path_of(copy.checkpoints, own), foreign)
    give_away(foreign)

    said = fbmon("resume", "copy", "--no-ui")
    assert (said.returncode, said.stderr.count("\n")) == (0, 1)
    assert said.stderr.startswith("copy: meta.json is missing or damaged; rewriting it, with data in ")
    assert f"the checkpoint of step {own + 1} is damaged or of another run and was set aside\n" in said.stdout
    assert f"resumed from step {own}\n" in said.stdout
    aside = f"; checkpoint {own + 1} set aside, as damaged or from another run"
    assert said.stdout.splitlines()[-1].endswith(aside)
    word = last_event(copy.journal)
    assert isinstance(word, RunEnded)
    assert (word.state, word.step) == ("finished", 43)
    assert [event.steps for event in told(copy) if isinstance(event, TrainingStarted)] == [40, 43]
    assert "has already finished, after step 43" in fbmon("resume", "copy").stdout


def give_away(checkpoint_path: Path) -> None:
    """Let a checkpoint say that it is another run's."""
    state, content = checkpoint.read(checkpoint_path)
    shutil.rmtree(checkpoint_path)
    step = int(checkpoint_path.name.removeprefix("step-"))
    checkpoint.save(checkpoint_path.parent, msgspec.structs.replace(state, run="other-run", step=step), content)
