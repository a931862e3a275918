"""`fbmon recipe`: list, show and check recipes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.complete import recipe_names
from fbmon.cli.options import Json
from fbmon.cli.output import make_console, print_json

if TYPE_CHECKING:
    from rich.console import JustifyMethod

recipe_commands = typer.Typer(help="List, show and check recipes.", no_args_is_help=True)


@recipe_commands.command("list")
def list_recipes(json: Json = False) -> None:
    """List the recipes that come with fbmon.

    Examples: fbmon recipe list · fbmon recipe list --json
    """
    from fbmon import recipe as recipes

    loaded = {name: recipes.load(path) for name, path in recipes.shipped().items()}
    if json:
        print_json([{"recipe": name} | recipe.model_dump(exclude_none=True) for name, recipe in loaded.items()])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("recipe", "data", "model", "steps", "block", "about"):
        justify: JustifyMethod = "right" if heading in ("steps", "block") else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != "about")
    for name, path in recipes.shipped().items():
        recipe = loaded[name]
        about = Text(path.read_text("utf-8").partition("\n")[0].lstrip("# "), no_wrap=True, overflow="ellipsis")
        steps, block = str(recipe.steps), str(recipe.gradient.block)
        table.add_row(name, recipe.data.dataset, recipe.model.name, steps, block, about)
    make_console().print(table, soft_wrap=False)


@recipe_commands.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="A shipped recipe's name, or a file.", autocompletion=recipe_names)],
) -> None:
    """Print a recipe with its comments; one that extends another is printed whole, with what it inherits.

    Examples: fbmon recipe show quickstart · fbmon recipe show digits/sgd > mine.toml
    """
    from fbmon import recipe as recipes
    from fbmon.text import clean_lines

    typer.echo(clean_lines(recipes.whole(recipes.find(name)), limit=4096), nl=False)


@recipe_commands.command("check")
def check_recipe(file: Annotated[Path, typer.Argument(help="The recipe file.")]) -> None:
    """Check a recipe, and report every fault with its line, key and value; exit code 2 if there is one.

    Example: fbmon recipe check mine.toml
    """
    from fbmon import recipe as recipes
    from fbmon.text import clean_path

    recipe = recipes.load(recipes.find(str(file)))
    typer.echo(f"{clean_path(file)}: valid: {recipe.steps} steps of {recipe.model.name} on {recipe.data.dataset}")


@recipe_commands.command("new")
def new_recipe(
    name: Annotated[str, typer.Argument(help="The name of the new recipe; the file is NAME.toml in this folder.")],
    origin: Annotated[
        str, typer.Option("--from", help="A shipped recipe's name, or a file.", autocompletion=recipe_names)
    ] = "quickstart",
) -> None:
    """Write a recipe with every key, each with its meaning above it, to start from.

    Example: fbmon recipe new mine --from digits/fb_clipped
    """
    from pydantic import ValidationError

    from fbmon import recipe as recipes
    from fbmon.errors import UsageError
    from fbmon.recipe.reference import commented
    from fbmon.text import clean, clean_path

    base = recipes.load(recipes.find(origin))
    try:
        recipe = recipes.Recipe.model_validate(base.model_dump(exclude_none=True) | {"name": name})
    except ValidationError:
        raise UsageError(
            f"{clean(name)}: must be 1 to 64 of a-z 0-9 . _ -, beginning and ending with a letter or digit"
        ) from None
    path = Path(f"{name}.toml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(commented(recipe.model_copy(update={"target": None}), origin))
    except FileExistsError:
        raise UsageError(f"{clean_path(path)}: already exists", "choose another name") from None
    typer.echo(f"{clean_path(path)}: change it, then: fbmon run {clean_path(path)}")


@recipe_commands.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of recipes, by which an editor completes and checks them.

    Example: fbmon recipe schema > recipe.schema.json
    """
    import json

    from fbmon.recipe import Recipe

    schema = Recipe.model_json_schema()
    schema["properties"] |= {"extends": {"type": "string", "description": "A .toml file, or a shipped recipe's name."}}
    schema["required"] = []  # what is missing may come from the recipe that is extended
    typer.echo(json.dumps(schema, indent=2))
