"""The one place that asks whether a protocol version is proved before it is signed."""

from __future__ import annotations

from kap.protocol import Protocol


def demand_certificate(protocol: Protocol) -> None:
    """Let a version be signed. No version carries a certificate of proof yet, so none is asked."""
    # When kap ships certificates: refuse here, in words, a version whose certificate is missing.
    assert protocol.digest
