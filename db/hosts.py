"""Which hosts are this machine."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host: ``localhost``, or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
