"""The facts of data of the user's own, as far as they are told without running code."""

from dataclasses import replace
from pathlib import Path

from fbmon.recipe.arrays import facts_of_arrays
from fbmon.recipe.data_sets import DATA_SETS, DataSetFacts
from fbmon.recipe.npz import open_npz
from fbmon.recipe.pictures import facts_of_folder
from fbmon.recipe.schema import FOLDER, Data


def facts_without_code(section: Data) -> DataSetFacts | None:
    """Return the facts of a recipe's data; None if only code of the user's own can tell.

    Raises ValueError with what is wrong with a file or a folder.
    """
    match section.source:
        case "named":
            return DATA_SETS[section.dataset]
        case "npz":
            path = Path(section.dataset)
            return with_val_share(facts_of_arrays(path.name, open_npz(path, on_disk=True), section.classes), section)
        case "folder":
            facts = facts_of_folder(Path(section.dataset.removeprefix(FOLDER)))
            if section.classes is not None:
                raise ValueError("has a folder for each class: leave data.classes out")
            return with_val_share(facts, section)
        case "code":
            return None


def with_val_share(facts: DataSetFacts, section: Data) -> DataSetFacts:
    """Return the facts of data of the user's own with what is held out for validation.

    Raises ValueError if a share is asked for and samples are set apart already, or if there is neither.
    """
    if (facts.val > 0) == (section.val_share is not None):
        hint = "leave data.val_share out" if facts.val else "set data.val_share"
        raise ValueError(f"has {'its own' if facts.val else 'no'} samples for validation: {hint}")
    if facts.val:
        return facts
    held_out = round(facts.train * (section.val_share or 0.0))
    if not 0 < held_out < facts.train:
        raise ValueError(f"has {facts.train} samples, of which data.val_share would hold out {held_out}")
    return replace(facts, train=facts.train - held_out, val=held_out)
