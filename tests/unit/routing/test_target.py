import asyncio
import socket
from ipaddress import ip_address

import pytest

from routing.delivery import target as target_module
from routing.delivery.target import AllowList, TargetRefused, check_target, is_public, read_target, resolve

NOBODY = AllowList()


async def resolve_url(url: str, allowed: AllowList = NOBODY) -> list[str]:
    return [str(address) for address in await resolve(read_target(url), allowed)]


@pytest.mark.parametrize(
    "url",
    [
        # addresses that only we can reach
        "https://127.0.0.1/",
        "https://127.8.8.8/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.64.0.1/",
        "https://100.127.255.254/",
        "https://0.0.0.0/",
        "https://255.255.255.255/",
        "https://224.0.0.1/",
        "https://240.0.0.1/",
        "https://198.18.0.1/",
        "https://192.0.0.8/",
        "https://192.0.2.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[fd12:3456::1]/",
        "https://[ff02::1]/",
        "https://[fec0::1]/",
        "https://[2001:db8::1]/",
        # IPv4 inside IPv6, whatever the IPv4 is
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        # odd spellings
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://017700000001/",
        "https://10.0.0.010/",
        "https://0x/",
        "https://example.0x7f/",
        "https://127.0.0.1./",
        "https://１２７.0.0.1/",
        "https://%31%32%37.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://ⓛocalhost/",
        # not a plain https URL
        "http://8.8.8.8/",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "example.com",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com#@127.0.0.1/",
        "https://example.com\\@127.0.0.1/",
        "https://exam ple.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://example.com/\t",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:port/",
        "https://-example.com/",
        "https://exa..mple.com/",
        "https://" + "a" * 64 + ".com/",
        "https://example.com/" + "a" * 2000,
    ],
)
async def test_a_url_that_leads_inside_or_is_spelled_oddly_is_refused(url):
    with pytest.raises(TargetRefused):
        await resolve_url(url)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://8.8.8.8/hooks", "8.8.8.8"),
        ("https://1.1.1.1:8443/", "1.1.1.1"),
        ("https://[2606:4700:4700::1111]/hooks?token=x", "2606:4700:4700::1111"),
        ("https://8.8.8.8", "8.8.8.8"),
    ],
)
async def test_a_public_https_address_is_taken(url, address):
    assert await resolve_url(url) == [address]


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:800::200e"])
def test_the_open_internet_is_public(text):
    assert is_public(ip_address(text))


def names_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def getaddrinfo(_self: object, _host: str, port: int, **_: object) -> list[object]:
        await asyncio.sleep(0)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)


async def test_a_name_that_resolves_inside_is_refused(monkeypatch):
    names_to(monkeypatch, "10.1.2.3")
    with pytest.raises(TargetRefused):
        await resolve_url("https://crm.example.com/")


async def test_a_name_with_one_inside_address_among_public_ones_is_refused(monkeypatch):
    names_to(monkeypatch, "8.8.8.8", "::ffff:10.0.0.1")
    with pytest.raises(TargetRefused):
        await resolve_url("https://crm.example.com/")


async def test_a_name_with_public_addresses_gives_exactly_those(monkeypatch):
    names_to(monkeypatch, "8.8.8.8", "2606:4700:4700::1111", "8.8.8.8")
    assert await resolve_url("https://crm.example.com/") == ["8.8.8.8", "2606:4700:4700::1111"]


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000/"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/"),
        ("[::1]:9000", "http://[::1]:9000/"),
        ("10.1.0.0/16", "https://10.1.2.3/"),
        ("10.1.0.0/16", "http://10.1.2.3/"),
        ("other, 10.1.0.0/16 ,", "http://10.1.2.3/"),
    ],
)
async def test_a_listed_private_target_is_taken_even_without_encryption(entry, url):
    assert await resolve_url(url, AllowList.parse(entry))


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9001/"),
        ("10.1.0.0/16", "https://10.2.0.1/"),
        ("10.1.0.0/16", "https://[::ffff:10.1.0.1]/"),
        ("10.1.0.0/16", "http://example.com/"),
        ("crm.internal", "https://127.0.0.1/"),
    ],
)
async def test_a_listed_target_opens_nothing_else(entry, url):
    with pytest.raises(TargetRefused):
        await resolve_url(url, AllowList.parse(entry))


async def test_a_listed_name_may_resolve_inside(monkeypatch):
    names_to(monkeypatch, "10.1.2.3")
    assert await resolve_url("http://crm.internal:8080/", AllowList.parse("crm.internal:8080")) == ["10.1.2.3"]


def test_a_list_that_cannot_be_read_stops_the_start():
    with pytest.raises(ValueError, match=r"10\.1\.0\.1/16"):
        AllowList.parse("10.1.0.1/16")


def test_an_address_is_judged_without_a_name_server(monkeypatch):
    monkeypatch.setattr(target_module, "resolve", None)
    with pytest.raises(TargetRefused):
        check_target(read_target("https://169.254.169.254/"), NOBODY)
