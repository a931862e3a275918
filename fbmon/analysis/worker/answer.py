"""The process that answers probes on one device: tasks as JSON on standard input, a line for each answer."""

import sys

import msgspec

from fbmon.analysis.asked import Task
from fbmon.analysis.survey import NumberedAnswer
from fbmon.analysis.worker.look import Landscape
from fbmon.analysis.worker.weights import load_trained
from fbmon.errors import FbmonError
from fbmon.run import RunFolder, as_path
from fbmon.train.hardware.process import set_up


def main() -> None:
    tasks = msgspec.json.decode(sys.stdin.buffer.read(), type=list[Task])
    set_up()
    try:
        for number, task in enumerate(tasks):
            if task.probes:
                _answer(number, task, sys.argv[1])
    except BrokenPipeError:  # nobody is listening any more
        sys.stderr.close()
        raise SystemExit(1) from None
    except (FbmonError, RuntimeError) as error:  # torch's out of memory is a RuntimeError
        sys.exit(str(error).splitlines()[0])


def _answer(number: int, task: Task, device: str) -> None:
    look = Landscape(load_trained(RunFolder(as_path(task.folder)), task.setting.step, device), task.setting)
    for probe in task.probes:
        sys.stdout.buffer.write(msgspec.json.encode(NumberedAnswer(number, look.answer(probe))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
