"""Whose hand it is: the author of a write or a read, as every action takes it in `by=`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Author:
    """A person or process, the role it acts in, and the sites at which that role is held.

    `id` is opaque ("staff:<uuid>", "link:<uuid>", "device:<sender>", "worker:watch"); `trail`
    collects the ids of the audit events written in this request.
    """

    id: str
    name: str
    role: str
    sites: tuple[str, ...]
    roles: frozenset[str] = frozenset()
    purpose: str = "treatment"
    request: uuid.UUID = field(default_factory=uuid.uuid4)
    trail: list[int] = field(default_factory=list, compare=False, repr=False)

    def holds(self, *roles: str) -> bool:
        """Return whether the author holds one of the roles at these sites."""
        return bool({self.role, *self.roles} & set(roles))
