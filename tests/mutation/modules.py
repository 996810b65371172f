"""Which modules are mutated, and which tests are asked about each, the quickest first.

Only tests that always ask the same are here; those that invent their patients anew each time could
let the same mutant live one day and not the other.
"""

from __future__ import annotations

from pathlib import Path

KAP = Path(__file__).parents[2] / "kap"

# The safety core, and what its modules were split into.
OWN = {
    "logic": ("core/test_logic.py", "core/test_condition.py"),
    "condition": ("core/test_condition.py",),
    "compiled": ("core/test_condition.py", "core/test_protocol.py"),
    "guard": ("core/test_protocol.py",),
    "chart": ("core/test_chart.py",),
    "chart_json": ("core/test_chart.py",),
    "known": ("core/test_chart.py",),
    "derive": (
        *("core/test_derive.py", "core/test_derive_options.py"),
        "core/test_derive_edges.py",
    ),
    "derive_lists": ("core/test_derive.py", "core/test_derive_options.py"),
    "verdict": ("core/test_verdict.py", "core/test_verdict_seen.py"),
    "lift": ("core/test_lift.py", "core/test_verdict.py"),
    "dose": ("core/test_dose.py",),
}
REST = (
    *("core/test_verdict.py", "core/test_chart.py", "core/test_derive.py", "core/test_explain.py"),
    *("core/test_protocol.py", "core/test_first_pass.py", "core/test_twins.py"),
    *("core/test_plausible.py", "core/test_replay.py", "core/test_spray.py", "core/test_cli.py"),
    *(
        "core/test_lift.py",
        "core/test_verdict_seen.py",
        "spec/test_beside_the_answer.py",
        "spec/test_spec.py",
    ),
    *("spec/test_protocol_file.py", "spec/test_pivots.py"),
    *("spec/test_independent.py",),
)
