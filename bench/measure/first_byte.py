"""From an accepted container request to the first byte of the app, busybox httpd, its image present."""
import time

from ..figure import Figure
from ..lab import Lab
from ..tables import spread

TITLE = "First byte"
N_SERVICES = 12
RAM = 128 << 20


def measure(lab: Lab) -> dict:
    wharf = lab.wharf()
    wharf.import_image("busybox")
    times = []
    for _service in range(N_SERVICES):
        begin = time.monotonic()
        service = wharf.submit("busybox", RAM)
        service.first_byte()
        times.append((time.monotonic() - begin) * 1000)
        wharf.cancel([service])
    return {"ms": times}


def figures(result: dict) -> list[Figure]:
    what = "accepted request to first served byte (busybox httpd, image present; min / median / max)"
    ordered = sorted(result["ms"])
    return [Figure(what, ordered[len(ordered) // 2], spread(ordered, "ms"), bar=60, unit="ms")]


def details(_result: dict) -> list[str]:
    return []


def charts(_result: dict) -> dict:
    return {}
