"""One module per measurement, each with

- `TITLE`, the heading of its section; the module's own text is printed below it
- `measure(lab)`, which gives figures as plain JSON
- `figures(result)`, its lines of the table at the top
- `details(result)`, its section: lines of Markdown
- `charts(result)`, its plots by file name
"""
from . import (bulk, chain, counters, fairness, first_byte, idle, inputs, memory, proxy, put, records, revoke, routes, sse, stalled,
               start, syscalls, tls, tunnels, websocket, writes)

# In the order in which they run and are shown.
ALL = {
    "start": start,
    "first-byte": first_byte,
    "memory": memory,
    "proxy": proxy,
    "chain": chain,
    "tls": tls,
    "websocket": websocket,
    "bulk": bulk,
    "syscalls": syscalls,
    "counters": counters,
    "stalled": stalled,
    "fairness": fairness,
    "sse": sse,
    "revoke": revoke,
    "routes": routes,
    "tunnels": tunnels,
    "idle": idle,
    "records": records,
    "writes": writes,
    "put": put,
    "inputs": inputs,
}
