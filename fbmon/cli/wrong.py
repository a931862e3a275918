"""Errors about wrong values of options, in this program's words instead of the library's."""

import difflib
import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from fbmon.errors import UsageError
from fbmon.text import clean

_WORDS = (  # the library's, of several versions, and ours
    (r"valid integer", "must be a whole number"),
    (r"valid (?:number|float)", "must be a number"),
    (r"greater than or equal to (\S+)", r"must be at least \1"),
    (r"less than or equal to (\S+)", r"must be at most \1"),
    (r"in the range (\S+)<=x<=(\S+)\.", r"must be from \1 to \2"),
    (r"in the range x>=(\S+)\.", r"must be at least \1"),
    (r"in the range x<=(\S+)\.", r"must be at most \1"),
)


class CommandGroup(TyperGroup):
    """The commands; a value that none of their options takes is a UsageError."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer keeps the types to itself
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if type(error) is not typer.BadParameter or error.param is None:  # say, something is missing
                raise
            raise wrong_value(error.param.opts[-1], error.message, sys.argv) from None


def wrong_value(option: str, message: str, arguments: list[str]) -> UsageError:
    """Return an error for the value of an option, of which the library says `message`."""
    given = _given(option, arguments)
    named = f"{option} {clean(given)}" if given is not None else option
    if listing := re.search(r"is not one of (.*?)\.?$", message):
        choices = re.findall(r"'([^']*)'", listing[1])
        near = difflib.get_close_matches(given or "", choices, n=1)
        return UsageError(f"{named}: must be one of {', '.join(choices)}", f"did you mean {near[0]}?" if near else "")
    matches = ((re.search(pattern, message), wording) for pattern, wording in _WORDS)
    return UsageError(f"{named}: {next((match.expand(ours) for match, ours in matches if match), clean(message))}")


def _given(option: str, arguments: list[str]) -> str | None:
    """Return the value of an option on the command line; None if it comes from an environment variable."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == option:
            return value if equals else next(iter(arguments[index + 1 :]), "")
    return None
