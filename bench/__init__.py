"""Measures Wharf against what else there is, and writes docs/benchmarks.md. Run by `cargo xtask bench`.

Where to start reading: `__main__` (the command), `method` (how a figure is taken), `lab` (what is up
during a measurement), then `measure/`, one module per measurement. Results are JSON files in the target
folder (`results`); `report` makes the page of the newest one of each, so single measurements can be
taken again.
"""
