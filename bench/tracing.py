"""System calls of running processes, by strace."""
import contextlib
import pathlib
import re
import signal
import subprocess
from typing import Iterator

from . import places
from .processes import end, wait_for


class Trace:
    """An strace that is attached; its output is whole once the block is left."""

    def __init__(self, out: pathlib.Path):
        self.out = out

    def lines(self) -> list[str]:
        return self.out.read_text(errors="replace").splitlines()

    def counts(self) -> dict[str, int]:
        """The number of calls by name, of a trace with `-c`."""
        found = {}
        for line in self.lines():
            # % time, seconds, usecs/call, calls, [errors,] syscall
            match = re.fullmatch(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)", line)
            if match and match.group(2) != "total":
                found[match.group(2)] = int(match.group(1))
        return found


@contextlib.contextmanager
def attached(pid: int, out: pathlib.Path, *words: str) -> Iterator[Trace]:
    """Traces all threads of a process during the block."""
    strace = subprocess.Popen([places.program("strace"), "-f", "-q", "-o", out, *words, "-p", str(pid)],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"strace to hold process {pid}", lambda: is_traced(pid))
        yield Trace(out)
    finally:
        # The signal that makes it let go and write what it counted.
        end(strace, signal.SIGINT)


def is_traced(pid: int) -> bool:
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)
