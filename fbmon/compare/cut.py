"""Names cut to a width, so that those that differ still do."""

from collections.abc import Sequence


def middle_cut(name: str, width: int) -> str:
    """Cut a text to its beginning and its end: runs of one recipe differ at the end."""
    if cells(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[-end:]}"


def told_apart(names: Sequence[str], width: int) -> list[str]:
    """Return names in at most `width` signs (three or more): cut in the middle, or, if then alike, elsewhere."""
    cut = _apart({name: middle_cut(name, width) for name in names}, width)
    return [cut[name] for name in names]


def _apart(cut: dict[str, str], width: int) -> dict[str, str]:
    """Return names by how they are cut, with another cut for those that would be alike."""
    alike: dict[str, list[str]] = {}
    for name, short in cut.items():
        alike.setdefault(short, []).append(name)
    for several in alike.values():
        cut |= _apart(_from_difference(several, width), width) if len(several) > 1 else {}
    return cut


def _from_difference(names: list[str], width: int) -> dict[str, str]:
    """Cut names to the first word in which they differ and the rest, with as much before it as there is room for."""
    indices = (index for index, signs in enumerate(zip(*names, strict=False)) if len(set(signs)) > 1)
    start = next(indices, min(map(len, names)))
    word = max(names[0].rfind(sign, 0, start) for sign in " -_") + 1
    rests = [name[word if start - word < width // 2 else start :] for name in names]
    room = max(0, width - 1 - max(map(len, rests)))
    return {name: f"{name[:room]}…{rest[: width - 1]}" for name, rest in zip(names, rests, strict=True)}


def cells(text: str) -> int:
    """Return how many cells a text takes in a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # knows the signs that are two cells wide; most tables have none

    return cell_len(text)
