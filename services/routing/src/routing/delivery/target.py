"""Where callbacks may go. Private places only if the operator listed them: a URL that anybody with a key may enter
must not reach what only this machine can see."""

import asyncio
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 2000
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Translations of IPv4 into IPv6: what is inside could be any address, and what translates it is not ours to know.
# `is_global` of Python 3.11 lets some of these pass.
_REFUSED = tuple(
    ip_network(text)
    for text in (
        "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10",
        "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10",
    )
)  # fmt: skip


class TargetRefused(OSError):
    """Callbacks must not go there. The message says why and is safe to show. An `OSError`, so that an HTTP client's
    resolver may raise it."""


@dataclass(frozen=True, slots=True)
class Target:
    """The place in a URL."""

    scheme: str
    host: str
    port: int

    @property
    def literal(self) -> Address | None:
        """Return the address, if the host is one."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class AllowList:
    """Places the operator lets callbacks go to although they are private or not encrypted."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the list in *text*: hosts, host:port pairs, networks. Errors: ValueError."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            if "/" in entry:
                networks.append(ip_network(entry))
            else:
                hosts.add(entry)
        return cls(frozenset(hosts), tuple(networks))

    def has_host(self, target: Target) -> bool:
        """Say if the host is listed, by itself or with this port."""
        host = f"[{target.host}]" if ":" in target.host else target.host
        return target.host in self.hosts or f"{host}:{target.port}" in self.hosts

    def has_address(self, address: Address) -> bool:
        """Say if the address lies in a listed network."""
        return any(address in network for network in self.networks if network.version == address.version)


def read_target(url: str) -> Target:
    """Return the place in *url*. Errors: `TargetRefused` for what is no plain http(s) URL, or spells its host oddly."""
    if len(url) > MAX_URL or not url.isascii() or any(char <= " " or char in '\\"<>`\x7f' for char in url):
        raise TargetRefused("not a plain URL: ASCII without spaces, at most 2000 characters; write IDN as xn--")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetRefused("not a URL") from error
    if parts.scheme not in {"http", "https"}:
        raise TargetRefused("only https (or http to an allowed target)")
    if "@" in parts.netloc or parts.fragment:
        raise TargetRefused("no user name, password or fragment in the URL")
    if port == 0:
        raise TargetRefused("port 0 is not a port")
    return Target(parts.scheme, _read_host(parts.hostname or "", parts.netloc), port or _DEFAULT_PORTS[parts.scheme])


_DEFAULT_PORTS = {"http": 80, "https": 443}


def _read_host(host: str, netloc: str) -> str:
    if netloc.startswith("["):
        try:
            address = IPv6Address(host)
        except ValueError as error:
            raise TargetRefused("not an IPv6 address") from error
        if address.scope_id is not None:
            raise TargetRefused("no zone in an IPv6 address")
        return str(address)
    host = host.removesuffix(".")
    if _HOST.fullmatch(host) is None or len(host) > 253:
        raise TargetRefused("not a host name")
    # 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1 to some resolver: only the plain spelling is taken.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise TargetRefused("an odd spelling of an address") from error
    return host


def is_public(address: Address) -> bool:
    """Say if *address* is one of the open internet: not private, loopback, link-local, shared (CGNAT), multicast,
    reserved, nor IPv4 inside IPv6 (mapped, NAT64, 6to4, Teredo)."""
    if any(address in network for network in _REFUSED if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_target(target: Target, allowed: AllowList) -> None:
    """Refuse what can be refused without asking a name server. Errors: `TargetRefused`."""
    literal = target.literal
    if literal is not None:
        check_address(target, literal, allowed)
    elif target.scheme == "http" and not allowed.has_host(target):
        raise TargetRefused("plain http: callbacks carry personal data, use https")


def check_address(target: Target, address: Address, allowed: AllowList) -> None:
    """Refuse *address*, what the host of *target* resolved to, unless public or allowed. Errors: `TargetRefused`."""
    if allowed.has_host(target) or allowed.has_address(address):
        return
    if not is_public(address):
        raise TargetRefused(
            "the host is a private or special address, and ROUTING_ALLOWED_PRIVATE_TARGETS does not list it"
        )
    if target.scheme == "http":
        raise TargetRefused("plain http: callbacks carry personal data, use https")


async def resolve(target: Target, allowed: AllowList) -> list[Address]:
    """Return the addresses of *target*, all of them checked. One bad address refuses the host: a name that points
    both inside and outside is how this check is usually attacked. Errors: `TargetRefused`, `OSError`."""
    check_target(target, allowed)
    if target.literal is not None:
        return [target.literal]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    for address in addresses:
        check_address(target, address, allowed)
    return addresses
