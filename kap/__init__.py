"""What medicine says about ketamine-assisted psychotherapy: pure, with neither clock nor database.

`kap.ask(kap.load("iv-ketamine"), "screening", kap.Chart.from_json(...), kap.Moment.at(...))`.
Names are loaded when first used, so that `import kap` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kap.chart import Chart
    from kap.moment import Moment
    from kap.protocol import load
    from kap.verdict import ask

__all__ = ["Chart", "Moment", "ask", "load"]

_HOMES = {
    "Chart": "kap.chart",
    "Moment": "kap.moment",
    "ask": "kap.verdict",
    "load": "kap.protocol",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"kap has no {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
