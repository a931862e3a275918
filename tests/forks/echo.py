"""Says what it has from the process that started it, waits if it is to, and ends as it is told: for the tests."""

import json
import os
import signal
import sys

inherited = {
    "arguments": sys.argv[1:],
    "command": sys.orig_argv,
    "path": sys.path[:1],
    "variables": sorted(os.environ.items()),
    "folder": os.getcwd(),
    "umask": os.umask(0),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "ignored": sorted(number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN),
    "open": [number for number in range(100) if os.path.exists(f"/proc/self/fd/{number}")],
    "streams": [(each.encoding, each.errors) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "seen as": open("/proc/self/cmdline").read().lstrip("/").removeprefix(sys.executable.lstrip("/")),  # noqa: SIM115
    "standard input": sys.stdin.readline(),
}
print(json.dumps([inherited, os.getpid(), "torch" in sys.modules]), flush=True)
if sys.argv[1] == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("ready", flush=True)
    signal.pause()
if sys.argv[1] == "raise":
    raise ValueError("as it was told")
if sys.argv[1] == "die":
    os.kill(os.getpid(), int(sys.argv[2]))
sys.exit(int(sys.argv[2]))
