"""From starting `wharf up` to its first answer, on an empty folder (keys and database are made) and again."""
from ..figure import Figure
from ..lab import Lab
from ..tables import spread

TITLE = "Start"
N_STARTS = 7


def measure(lab: Lab) -> dict:
    result: dict[str, list[float]] = {"first_ms": [], "later_ms": []}
    for _start in range(N_STARTS):
        wharf = lab.wharf()
        result["first_ms"].append(wharf.seconds_to_serving * 1000)
        wharf.stop()
        wharf.start()
        result["later_ms"].append(wharf.seconds_to_serving * 1000)
        wharf.stop()
    return result


def figures(result: dict) -> list[Figure]:
    named = (("`wharf up` to its first answer, new data folder (min / median / max)", "first_ms"),
             ("`wharf up` to its first answer, existing data folder (min / median / max)", "later_ms"))
    return [Figure(what, max(result[key]), spread(result[key], "ms"), bar=300, unit="ms") for what, key in named]


def details(_result: dict) -> list[str]:
    return []


def charts(_result: dict) -> dict:
    return {}
