"""Markdown tables of the page's details."""
from typing import Iterable, Sequence

from .method import Samples, least, median


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def costs(results: dict[str, Samples], load: str, unit: str) -> list[str]:
    """One line per load and target: least CPU time per process, rate, latency."""
    rows = []
    for name, samples in results.items():
        for target, taken in samples.items():
            cpu = " + ".join(f"{us:.1f}" for us in least(taken)["cpu_us"])
            p50 = f"{median(taken, 'p50_us'):.0f} µs" if taken[0]["p50_us"] is not None else ""
            rows.append([name, target, cpu and f"{cpu} µs", f"{median(taken, 'per_second'):,.0f}", p50])
    return table([load, "target", f"CPU per {unit}", f"{unit}s/s", "p50"], rows)


def spread(values: list[float], unit: str) -> str:
    """Smallest, median, largest."""
    ordered = sorted(values)
    return f"{ordered[0]:.0f} / {ordered[len(ordered) // 2]:.0f} / {ordered[-1]:.0f} {unit}"
