"""A patient at a second site: agreed to at the first, opened by a code at the second."""
