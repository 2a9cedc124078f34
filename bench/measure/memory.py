"""Memory of an idle controller and an idle supervisor, five seconds after a service's first byte.

RSS counts the pages of the executable, which all our processes share, PSS counts them in parts, `own` not at all.
"""
import time

from ..accounting import memory_kib
from ..figure import Figure
from ..lab import Lab
from .first_byte import RAM

TITLE = "Memory at rest"
IDLE_SECONDS = 5
BARS_MIB = {"controller": 40, "supervisor": 10}


def measure(lab: Lab) -> dict:
    wharf = lab.wharf()
    wharf.import_image("busybox")
    service = wharf.submit("busybox", RAM)
    service.first_byte()
    time.sleep(IDLE_SECONDS)
    result = {"controller": memory_kib(wharf.pid), "supervisor": memory_kib(service.supervisor)}
    wharf.cancel([service])
    return result


def figures(result: dict) -> list[Figure]:
    found = []
    for who, kib in result.items():
        text = ", ".join(f"{name} {amount / 1024:.1f} MiB" for name, amount in kib.items())
        found.append(Figure(f"memory of an idle {who}", kib["RSS"] / 1024, text, bar=BARS_MIB[who], unit="MiB"))
    return found


def details(_result: dict) -> list[str]:
    return []


def charts(_result: dict) -> dict:
    return {}
