"""`python -m tests.spec [--check]`: write docs/spec from the tables, or say which page is old."""

import sys

from tests.spec.render import stale, write

if "--check" in sys.argv[1:]:
    old = stale()
    if old:
        raise SystemExit(f"docs/spec is not current: {', '.join(old)}; run `make fix`")
else:
    write()
