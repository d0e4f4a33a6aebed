"""Trackers: where numbers go besides `metrics.jsonl`.

A tracker is built with the run's `folder` and the `step` at which the run begins or goes on, called with
`(step, {name: number})` at every logged step and evaluation, and closed with `close()` at the end.
"""

from sslkit.registry import Registry

registry = Registry(
    kind="trackers",
    one="tracker",
    builtins={"csv": "sslkit.trackers.csv:CSV"},
    offered=("folder", "step"),
    takes={"__call__": 2, "close": 0},
)
