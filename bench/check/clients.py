"""The clients in Python: smtpweb, the baseline, smtplib, aiosmtplib, and swaks as a program.

Each is a class with ``one(job)`` and, if a process can run many conversations, ``at_once(job)``;
both return whether the email was accepted. All verify certificates against the bundle that
SSL_CERT_FILE names (the system's CAs and the bench's own).
"""

from __future__ import annotations

import asyncio
import email.utils
import functools
import shutil
import smtplib
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Any

from smtpweb.mailcheck import EgressPolicy, Encryption, Target, check, check_async, check_many

from . import baseline
from .job import Job

NAME = "[127.0.0.1]"  # for EHLO; else some ask DNS for it at every connection


class Missing(Exception):
    """This client is not installed; the message says how to install it."""


@functools.lru_cache(1)
def shared_context() -> ssl.SSLContext:
    """One TLS context for all, as a careful user would have it."""
    return ssl.create_default_context()


def mail(job: Job) -> EmailMessage:
    """The mail as the manuals of smtplib and aiosmtplib have it made, with what RFC 5322 wants."""
    message = EmailMessage()
    message["From"], message["To"] = job.sender, job.recipient
    message["Subject"] = "Test mail of an SMTP server check"
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain=job.domain)
    message.set_content(
        "This is a test mail. It was sent to find out whether this SMTP server takes mail.\n"
    )
    return message


async def _gather(count: int, one: Callable[[], Awaitable[bool]]) -> list[bool]:
    return list(await asyncio.gather(*(one() for _ in range(count))))


def _in_threads(count: int, one: Callable[[], bool]) -> list[bool]:
    results: list[bool] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(one())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


class _Asyncio:
    """One loop for the life of the process, as in a server."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    async def talk(self, job: Job) -> bool:
        raise NotImplementedError

    def one(self, job: Job) -> bool:
        return self.loop.run_until_complete(self.talk(job))

    def at_once(self, job: Job) -> list[bool]:
        return self.loop.run_until_complete(_gather(job.count, lambda: self.talk(job)))


class BaselineEpoll:
    def one(self, job: Job) -> bool:
        return all(baseline.with_epoll(job, 1, shared_context()))

    def at_once(self, job: Job) -> list[bool]:
        return baseline.with_epoll(job, job.count, shared_context())


class BaselineAsyncio(_Asyncio):
    async def talk(self, job: Job) -> bool:
        return await baseline.with_asyncio(job, shared_context())


@functools.lru_cache(8)
def _policy(host: str) -> EgressPolicy:
    return EgressPolicy.parse(f"{host}/32", "*")


def target(job: Job) -> Target:
    """The same job for smtpweb."""
    return Target(
        host=job.host,
        port=job.port,
        mail_from=job.sender,
        rcpt_to=job.recipient,
        encryption=Encryption(job.tls),
        auth=True,
        username=job.user,
        password=job.password,
        ehlo_name=NAME,
        timeout=60.0,
        policy=_policy(job.host),
    )


def _accepted(report: Any) -> bool:
    if not report.accepted:
        raise RuntimeError(f"{report.code}: {report.meaning} {report.reply}")
    return True


class SmtpwebBlocking:
    def one(self, job: Job) -> bool:
        return _accepted(check(target(job)))

    def at_once(self, job: Job) -> list[bool]:
        return _in_threads(job.count, lambda: self.one(job))


class SmtpwebAsyncio(_Asyncio):
    async def talk(self, job: Job) -> bool:
        return _accepted(await check_async(target(job)))

    def at_once(self, job: Job) -> list[bool]:
        targets = [target(job) for _ in range(job.count)]
        reports = self.loop.run_until_complete(check_many(targets, at_once=job.count))
        return [_accepted(report) for report in reports]


class _Smtplib:
    def context(self) -> ssl.SSLContext:
        raise NotImplementedError

    def one(self, job: Job) -> bool:
        if job.tls == "implicit":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                job.host, job.port, local_hostname=NAME, timeout=60, context=self.context()
            )
        else:
            connection = smtplib.SMTP(job.host, job.port, local_hostname=NAME, timeout=60)
        with connection:
            if job.tls == "starttls":
                connection.starttls(context=self.context())
            connection.login(job.user, job.password)
            return not connection.send_message(mail(job))

    def at_once(self, job: Job) -> list[bool]:
        return _in_threads(job.count, lambda: self.one(job))


class SmtplibShared(_Smtplib):
    def context(self) -> ssl.SSLContext:
        return shared_context()


class SmtplibDocumented(_Smtplib):
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context()


class _Aiosmtplib(_Asyncio):
    def __init__(self) -> None:
        super().__init__()
        try:
            import aiosmtplib
        except ImportError:
            raise Missing("pip install -r requirements/bench.lock") from None
        self.send = aiosmtplib.send

    def context(self) -> ssl.SSLContext | None:
        raise NotImplementedError

    async def talk(self, job: Job) -> bool:
        refused, _ = await self.send(
            mail(job),
            hostname=job.host,
            port=job.port,
            username=job.user,
            password=job.password,
            local_hostname=NAME,
            use_tls=job.tls == "implicit",
            start_tls=job.tls == "starttls",
            tls_context=self.context(),
            timeout=60,
        )
        return not refused


class AiosmtplibShared(_Aiosmtplib):
    def context(self) -> ssl.SSLContext | None:
        return shared_context()


class AiosmtplibDocumented(_Aiosmtplib):
    def context(self) -> ssl.SSLContext | None:
        return None  # it makes its own, for each connection


class _Swaks:
    options: tuple[str, ...] = ()

    def __init__(self) -> None:
        if not shutil.which("swaks"):
            raise Missing("apt install swaks libnet-ssleay-perl")

    def one(self, job: Job) -> bool:
        ended = subprocess.run(
            [
                "swaks", *self.options,
                "--server", job.host, "--port", str(job.port), "--ehlo", NAME,
                "--tls" if job.tls == "starttls" else "--tls-on-connect", "--tls-verify",
                "--auth", "PLAIN", "--auth-user", job.user, "--auth-password", job.password,
                "--from", job.sender, "--to", job.recipient,
                "--data", job.message.decode().replace("\r\n", "\n"), "--timeout", "60",
            ],
            capture_output=True, text=True,
        )  # fmt: skip
        if ended.returncode:
            raise RuntimeError(ended.stdout[-300:] + ended.stderr[-300:])
        return True


class Swaks(_Swaks):
    pass


class SwaksPipelining(_Swaks):
    options = ("--pipeline",)


CLIENTS: dict[str, Callable[[], Any]] = {
    "baseline-epoll": BaselineEpoll,
    "baseline-asyncio": BaselineAsyncio,
    "smtpweb-blocking": SmtpwebBlocking,
    "smtpweb-asyncio": SmtpwebAsyncio,
    "smtplib-shared": SmtplibShared,
    "smtplib-documented": SmtplibDocumented,
    "aiosmtplib-shared": AiosmtplibShared,
    "aiosmtplib-documented": AiosmtplibDocumented,
    "swaks": Swaks,
    "swaks-pipeline": SwaksPipelining,
}
