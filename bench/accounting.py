"""What the kernel says about processes: CPU time, memory, family."""
import pathlib
import re
import time
from typing import Iterable


def cpu_ns(pid: int) -> int:
    """CPU time of a process with all threads that it ever had, in nanoseconds.

    Its CPU clock (clock_getcpuclockid(3)), which the scheduler keeps to the nanosecond;
    /proc/PID/stat counts ticks of 10 ms.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_kib(pid: int) -> dict[str, int]:
    """RSS counts shared pages of the executable in full, PSS in parts, `own` not at all."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    return {"RSS": kib["Rss"], "PSS": kib["Pss"], "own": kib["Private_Clean"] + kib["Private_Dirty"]}


def rss_kib(pids: Iterable[int]) -> list[int]:
    return [memory_kib(pid)["RSS"] for pid in pids]


def children() -> dict[int, list[int]]:
    """Every process of the machine under its parent."""
    found: dict[int, list[int]] = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended meanwhile
            continue
        found.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    return found


def descendants(pid: int, family: dict[int, list[int]] | None = None) -> list[int]:
    """All processes below this one; `family` as of `children`, where many are asked for."""
    family = family or children()
    found, queue = [], [pid]
    while queue:
        below = family.get(queue.pop(), [])
        found += below
        queue += below
    return found


def wait_until_settled(pids: Iterable[int], quiet: float = 0.5, seconds: float = 60) -> None:
    """Waits until the processes have all but stopped working: under 2 % of a core for `quiet` seconds."""
    pids = list(pids)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = sum(map(cpu_ns, pids))
        time.sleep(quiet)
        if sum(map(cpu_ns, pids)) - before < quiet * 0.02e9:
            return
    raise TimeoutError(f"processes {pids} were still at work after {seconds:g} s")


def busy_share(seconds: float = 1.0) -> float:
    """The share of the whole machine that is at work, 0 to 1."""
    def look() -> tuple[int, int]:
        times = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(times), times[3] + times[4]

    total, idle = look()
    time.sleep(seconds)
    total_then, idle_then = look()
    return 1 - (idle_then - idle) / max(1, total_then - total)
