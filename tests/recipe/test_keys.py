"""The reference of all keys, which is written from the schema."""

from tools.recipe_keys import DOCUMENT, document


def test_the_reference_of_recipes_is_what_the_schema_says() -> None:
    """`python -m tools.recipe_keys` writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()
