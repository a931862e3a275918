"""Every docstring makes sense alone: its first word is no fragment's."""

import ast
from collections.abc import Iterator
from pathlib import Path

import fbmon

ROOT = Path(fbmon.__file__).parent
# Words with which a phrase begins that needs the line above it.
FRAGMENTS = {
    "after", "as", "at", "because", "before", "by", "for", "from", "here", "how", "in", "is", "it", "its",
    "likewise", "none", "not", "nothing", "of", "on", "only", "so", "such", "that", "their", "these", "they",
    "this", "those", "to", "under", "until", "what", "whatever", "when", "where", "whether", "which", "who",
    "whoever", "whose", "why", "with", "within", "without",
}  # fmt: skip


def docstrings(file: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring:
                yield f"{file.relative_to(ROOT)}: {getattr(node, 'name', 'the module')}", docstring


def test_no_docstring_opens_with_a_fragment() -> None:
    fragments = [
        (where, docstring.splitlines()[0])
        for file in sorted(ROOT.rglob("*.py"))
        for where, docstring in docstrings(file)
        if docstring.split()[0].strip(",.:`").lower() in FRAGMENTS
    ]
    assert fragments == []
