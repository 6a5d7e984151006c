"""A root directory of its own for a mail server that cannot be installed beside the others.

Debian's mail servers exclude each other and have their paths and accounts compiled in. In a
jail each has its own ``/etc``, queue, accounts and mail store, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import cannot_run
from tests.support.serving import Program, program

PACKAGES = Path("/var/cache/smtpweb-real-servers")  # filled by tests/real/install.sh
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
# Of Dovecot's plug-ins none is used, and each would bring its own libraries.
_NOT_NEEDED = ("--exclude=./usr/share/doc", "--exclude=./usr/share/man", "--exclude=*_plugin.so")
_DEVICES = (("null", 1, 3), ("zero", 1, 5), ("random", 1, 8), ("urandom", 1, 9))


@dataclass(frozen=True)
class Jail:
    """A root directory with programs in it. Paths in a program's files are relative to it."""

    folder: Path

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        file.chmod(mode)

    def directory(self, path: str, owner: int = 0, mode: int = 0o755) -> Path:
        folder = self.folder / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, owner, owner)
        folder.chmod(mode)
        return folder

    def run(self, *command: str, given: str | bytes = b"") -> str:
        """Run a program in here to its end; it must succeed."""
        given = given.encode() if isinstance(given, str) else given
        ended = subprocess.run(
            ["chroot", str(self.folder), *command],
            input=given, capture_output=True, env=_ENVIRONMENT, cwd="/",
        )  # fmt: skip
        assert ended.returncode == 0, f"{command}: {ended.stdout!r} {ended.stderr!r}"
        return ended.stdout.decode()

    @contextmanager
    def serving(self, name: str, *command: str) -> Iterator[Program]:
        """A program in the foreground, as long as the block lasts."""
        with program(
            ["chroot", str(self.folder), *command],
            env=_ENVIRONMENT,
            log=self.folder / f"{name}.log",
            cwd=Path("/"),
        ) as running:
            yield running


_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C.UTF-8"}


@contextmanager
def jail(
    packages: Sequence[str], programs: Sequence[str] = (), users: Sequence[str] = ()
) -> Iterator[Jail]:
    """Unpack ``packages`` and copy ``programs`` of this machine, with the libraries they need.

    ``users`` get accounts from number 1001 on, each with a group of the same name and number.
    """
    if os.geteuid() != 0:
        cannot_run("mail servers are started by root only")
    files = [(name, sorted(PACKAGES.glob(f"{name}_*.deb"))) for name in packages]
    for name, found in files:
        if not found:
            cannot_run(f"the package {name} is not in {PACKAGES}: run tests/real/install.sh")
    # Not in pytest's own folder, which only root may enter: servers run as others, too.
    here = Jail(Path(tempfile.mkdtemp(prefix="smtpweb-jail-")))
    here.folder.chmod(0o755)
    try:
        _furnish(here, users)
        for _, found in files:
            _unpack(found[-1], here.folder)
        _copy_programs(here.folder, programs)
        yield here
    finally:
        _end_all_inside(here.folder)
        shutil.rmtree(here.folder)


def _furnish(here: Jail, users: Sequence[str]) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (here.folder / "usr" / name).mkdir(parents=True)
        (here.folder / name).symlink_to(f"usr/{name}")
    for name in ("etc", "dev", "run", "var"):
        (here.folder / name).mkdir()
    here.directory("tmp", mode=0o1777)
    (here.folder / "var/run").symlink_to("../run")
    for name, major, minor in _DEVICES:
        device = here.folder / "dev" / name
        os.mknod(device, 0o666 | 0o020000, os.makedev(major, minor))
        device.chmod(0o666)
    people = {"root": 0, "daemon": 1, "mail": 8, "nobody": 65534}
    people |= {name: 1001 + number for number, name in enumerate(users)}
    here.write(
        "etc/passwd",
        "".join(f"{name}:x:{n}:{n}::/home/{name}:/bin/sh\n" for name, n in people.items()),
    )
    here.write("etc/group", "".join(f"{name}:x:{n}:\n" for name, n in people.items()))
    here.write("etc/hosts", "127.0.0.1 localhost\n127.0.0.1 mail.example.com mail\n")
    here.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
    here.write("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    for name in ("services", "protocols"):
        if Path("/etc", name).exists():
            shutil.copy(f"/etc/{name}", here.folder / "etc")


def _unpack(package: Path, folder: Path) -> None:
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as unpacked:
        subprocess.run(
            ["tar", "-x", "--keep-directory-symlink", *_NOT_NEEDED, "-C", str(folder)],
            stdin=unpacked.stdout, check=True,
        )  # fmt: skip
    assert unpacked.returncode == 0, package


def _copy_programs(folder: Path, programs: Sequence[str]) -> None:
    for name in programs:
        for source in [Path(name)] if "*" not in name else Path("/").glob(name.lstrip("/")):
            if not source.exists():
                cannot_run(f"{source} is not installed: run tests/real/install.sh")
            _copy(source, folder)
    seen: set[Path] = set()
    own = [str(found.parent) for found in (folder / "usr/lib").rglob("*.so*") if found.is_file()]
    environment = _ENVIRONMENT | {"LD_LIBRARY_PATH": ":".join(dict.fromkeys(own))}
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file() or not _is_elf(path):
            continue
        listed = subprocess.run(
            ["ldd", str(path)], env=environment, capture_output=True, text=True
        ).stdout
        for found in map(Path, _LIBRARY.findall(listed)):
            if found not in seen and not found.is_relative_to(folder):
                seen.add(found)
                _copy(found, folder)


def _copy(source: Path, folder: Path) -> None:
    target = folder / str(source).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(source.resolve(), target)


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _end_all_inside(folder: Path) -> None:
    """Daemons leave their process group; whoever still has this root directory is ours."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            if Path(os.readlink(entry / "root")).is_relative_to(folder):
                os.kill(int(entry.name), signal.SIGKILL)
