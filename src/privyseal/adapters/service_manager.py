# SPDX-License-Identifier: Apache-2.0
"""Telling systemd how far a service is (sd_notify): a datagram to the socket that it names, or nothing without one."""

from __future__ import annotations

import socket
from typing import Final

_MOST: Final = 1024


def notify(place: str, *states: str) -> None:
    """Send states such as ``READY=1``; a manager that does not listen is no fault of the service."""
    if not place:
        return
    address = f"\0{place[1:]}" if place.startswith("@") else place
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        sending.settimeout(1.0)
        try:
            sending.sendto("\n".join(states).encode()[:_MOST], address)
        except OSError:
            return
