"""One profile for every property: what is slow on a busy machine is not what is wrong.

A test's own `settings(max_examples=...)` stays; only the time that one example may take is not
judged here, for that is what `make bench` measures.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "afterglow", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("afterglow")
