"""`fbmon resume --steps`: a run that trains on, and what becomes of its schedule."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fbmon.errors import UsageError
from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.recipe import Recipe
    from fbmon.run import RunFolder


@dataclass(frozen=True)
class Further:
    """The settings with which a run trains on, and what is to be said of them."""

    folder: "RunFolder"
    recipe: "Recipe"
    told: str

    def write(self) -> None:
        """Write the settings into the run's folder, and say what becomes of the schedule."""
        from fbmon import recipe as recipes
        from fbmon.host.disk import replace

        replace(self.folder.resolved, recipes.dump(self.recipe).encode())
        sys.stderr.write(f"{self.told}\n")


def further(folder: "RunFolder", steps: int, *, stretch: bool) -> Further:
    """Return how a run trains on to so many steps in all. Raises UsageError if that cannot be."""
    from fbmon import compare
    from fbmon import recipe as recipes
    from fbmon.recipe.schedule import learning_rate
    from fbmon.run.checkpoints import steps_to_go_on_from

    name, done = clean(folder.name), compare.read(folder).summary.step
    if folder.is_alive():
        raise UsageError(f"--steps {steps}: {name} is being trained", f"stop it first: fbmon stop {folder.typed}")
    if steps <= done:
        raise UsageError(f"--steps {steps}: {name} has taken {done} steps", "it can only train on to more")
    before = recipes.load(folder.resolved)
    since = max(steps_to_go_on_from(folder.checkpoints), default=0)
    after = before.model_copy(update={"steps": steps})
    if stretch:
        if isinstance(before.schedule, recipes.Constant):
            raise UsageError("--stretch: the learning rate is constant", "leave it out")
        factor = steps / before.steps * (before.schedule.stretches or [[0, 1.0]])[-1][1]
        stretches = [*(before.schedule.stretches or []), [float(since), factor]]
        schedule = before.schedule.model_copy(update={"stretches": stretches})
        after = after.model_copy(update={"schedule": schedule})

    def rate(recipe: "Recipe", step: int) -> str:
        return f"{learning_rate(step - 1, recipe.schedule, recipe.optimizer):.4g}"

    if stretch:
        said = (
            f"the schedule is stretched {steps / before.steps:.4g} times: the learning rate is "
            f"{rate(after, since + 1)} instead of {rate(before, since + 1)} in step {since + 1}, "
            f"and {rate(after, steps)} in step {steps}"
        )
    else:
        said = (
            f"the schedule is kept: the learning rate is {rate(after, since + 1)} in step {since + 1} "
            f"and {rate(after, steps)} in step {steps}"
        )
        if float(rate(after, steps)) == 0:
            said += "; where it is 0 nothing moves, and --stretch would stretch it"
    return Further(folder, after, said)
