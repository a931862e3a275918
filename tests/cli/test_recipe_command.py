"""What is refused before anything starts: one message on stderr, exit code 2, and no trace of a run."""

from pathlib import Path

import pytest

from fbmon import recipe
from tests.conftest import TINY
from tests.shell import Fbmon

FAULTY = {
    "zero steps": (TINY.replace("steps = 40", "steps = 0"), ["{file}:3: steps = 0: must be greater than 0"]),
    "an unknown data set": (
        TINY.replace('"digits"', '"cifar"'),
        [
            '{file}:6: data.dataset = "cifar": must be one of digits, mnist, fashion_mnist, svhn, cifar10, cifar100, '
            "FILE.npz, folder:DIR, FILE.py:NAME, PACKAGE.MODULE:NAME; did you mean cifar10?"
        ],
    ),
    "a base that is not there and unknown choices, with other faults beside them": (
        'name = "a"\nextends = "nowhere.toml"\nsteps = "many"\n[data]\ndataset = "cifar"\nlimit = -1\n'
        '[optimizer]\nname = "sdg"\nlr = -1\nmomentun = 0.9\n',
        [
            "{file}:2: extends = nowhere.toml: there is no such file",
            '{file}:3: steps = "many": must be a whole number',
            '{file}:5: data.dataset = "cifar": must be one of digits, mnist, fashion_mnist, svhn, cifar10, cifar100, '
            "FILE.npz, folder:DIR, FILE.py:NAME, PACKAGE.MODULE:NAME; did you mean cifar10?",
            "{file}:6: data.limit = -1: must be greater than 0",
            '{file}:8: optimizer.name = "sdg": must be one of "sgd", "adamw", "torch.optim:Adadelta", '
            '"torch.optim:Adafactor", "torch.optim:Adagrad", "torch.optim:Adam", "torch.optim:Adamax", '
            '"torch.optim:ASGD", "torch.optim:NAdam", "torch.optim:RAdam", "torch.optim:RMSprop", '
            '"torch.optim:Rprop", "muon", "pytorch_optimizer:SOAP", "pytorch_optimizer:Shampoo", "gd", "lbfgs"',
            "{file}:9: optimizer.lr = -1: must be greater than 0",
            "{file}:10: unknown key optimizer.momentun; did you mean optimizer.momentum?",
        ],
    ),
    "another name for the learning rate": (
        TINY.replace("\nlr = ", "\nlearning_rate = "),
        [
            "{file}:17: optimizer.lr is missing",
            "{file}:19: unknown key optimizer.learning_rate; did you mean optimizer.lr?",
        ],
    ),
    "two faults at once": (
        TINY.replace("block = 32", 'block = "many"').replace('"cosine"', '"linear"'),
        [
            '{file}:15: gradient.block = "many": must be a whole number',
            '{file}:23: schedule.name = "linear": must be one of "constant", "cosine", "multistep", "exponential"',
        ],
    ),
    "a file that is not TOML": (TINY.replace("steps = 40", "steps ="), ["{file}:3: not TOML: Invalid value"]),
    "a name that steers terminals": (
        TINY.replace('"tiny"', '"\\u001b]0;owned\\u0007[red]x[/red]"'),
        [
            '{file}:2: name = "\ufffd]0;owned\ufffd[red]x[/red]": must be 1 to 64 of a-z 0-9 . _ -, beginning and '
            "ending with a letter or digit"
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_recipe_is_refused_with_every_fault_and_its_line(fault: str, tmp_path: Path, fbmon: Fbmon) -> None:
    text, faults = FAULTY[fault]
    file = tmp_path / "faulty.toml"
    file.write_text(text)
    told = "fbmon: " + "".join(f"{line}\n" for line in faults).format(file=file)

    for command in (["recipe", "check"], ["run"]):
        refused = fbmon(*command, file)

        assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", told)
    assert not fbmon.runs_dir.exists()


def test_a_recipe_that_is_not_there_is_refused_with_the_nearest_name(fbmon: Fbmon) -> None:
    for command in (["recipe", "check"], ["recipe", "show"], ["run"]):
        refused = fbmon(*command, "quickstrat")

        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == (
            "fbmon: quickstrat: no such recipe file, and no shipped recipe of that name\n"
            "       did you mean quickstart?\n"
        )


@pytest.mark.parametrize("devices", ["cpu:0", "gpu", "0,x", "cpu,0", "-1", "0,", "cuda:0,cpu:2"])
def test_devices_that_are_none_are_refused(devices: str, tiny: Path, fbmon: Fbmon) -> None:
    refused = fbmon("run", tiny, f"--devices={devices}")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"fbmon: --devices {devices}: must be auto, cpu, cpu:N, cuda, cuda:N, N or several GPUs as 0,1,2\n"
    )
    assert not fbmon.runs_dir.exists()


def test_a_good_recipe_is_called_good(tiny: Path, fbmon: Fbmon) -> None:
    checked = fbmon("recipe", "check", tiny)

    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == f"{tiny}: valid: 40 steps of resnet8 on digits\n"


def test_showing_a_recipe_prints_the_file(tiny: Path, fbmon: Fbmon) -> None:
    assert fbmon("recipe", "show", tiny).stdout == TINY


def test_showing_a_recipe_that_extends_another_prints_the_whole(fbmon: Fbmon, tmp_path: Path) -> None:
    shown = fbmon("recipe", "show", "digits/fb_clipped").stdout
    assert shown.startswith('# The main table in miniature, "FB clipped":')
    whole = tmp_path / "whole.toml"
    whole.write_text(shown)
    assert recipe.load(whole) == recipe.load(recipe.find("digits/fb_clipped"))
    assert "extends" not in shown
