"""Sign-in as a clinic wants it: nobody signs up, a passkey or TOTP is required outside demo mode."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's adapter with sign-up closed."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False: an administrator adds staff."""
        return False
