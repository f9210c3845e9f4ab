"""One HTTP exchange from outside: to a fixed address, under a public name, before a deadline."""

from __future__ import annotations

import json
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions

from changeover import public_tls
from changeover.executors.smoke import rules
from changeover.executors.smoke.connection import Adapter, Deadline
from changeover.executors.smoke.masking import excerpt

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

    from changeover.checks.records import Exchange, Expectation, Request
    from changeover.executors.smoke.values import Values

LARGEST_BODY = 4 * 1024 * 1024
MOST_REDIRECTS = 5


class NoAnswerError(Exception):
    """There was no complete answer, and this is why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: str
    url: str
    seconds: float

    def document(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body read as JSON, or ``rules.ABSENT``."""
        try:
            return json.loads(self.body)
        except ValueError:
            return rules.ABSENT


def send(request: Request, values: Values, cookies: requests.cookies.RequestsCookieJar) -> Answer:
    """Send a request over a connection of its own and read the answer to its end.

    Raises:
        NoAnswerError: No complete answer before the deadline, or no trusted connection.
    """
    url = _url(request, values)
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = MOST_REDIRECTS
    session.cookies = cookies
    begun = time.monotonic()
    with Deadline(request.timeout_seconds) as deadline, session:
        adapter = Adapter(values.target.addresses, deadline, _context(values))
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        try:
            answer = _read(session, request, values, url, begun)
            if deadline.passed:
                # Cut at the deadline, an answer without a length looks like a complete one.
                raise TimeoutError
            return answer  # noqa: TRY300 - part of what may time out
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if deadline.passed or isinstance(error, requests.Timeout | TimeoutError):
                raise NoAnswerError(
                    f"no complete answer within {request.timeout_seconds:g} s"
                ) from error
            raise NoAnswerError(_fault(error)) from error


def _context(values: Values) -> ssl.SSLContext:
    try:
        return values.trusting()
    except public_tls.AuthorityUnreadable as error:
        raise NoAnswerError(error.message) from error


def _url(request: Request, values: Values) -> str:
    if request.url is not None:
        return values.text(request.url)
    return values.target.url(values.path(request.path or "/"), request.scheme)


def _read(
    session: requests.Session, request: Request, values: Values, url: str, begun: float
) -> Answer:
    headers = {name: values.text(value) for name, value in request.headers.items()}
    form = request.form
    with session.request(
        request.method,
        url,
        headers={
            "User-Agent": "changeover",
            "Connection": "close",
            **values.target.headers(url),
            **headers,
        },
        json=None if request.body_json is None else values.filled(request.body_json),
        data=values.filled(form) if form is not None else _bytes(request, values),
        allow_redirects=request.follow,
        timeout=request.timeout_seconds,
        stream=True,
    ) as response:
        body = b""
        for chunk in response.iter_content(65536):
            body += chunk
            if len(body) > LARGEST_BODY:
                raise NoAnswerError(f"the body is larger than {LARGEST_BODY} bytes")
        return Answer(
            status=response.status_code,
            headers=response.headers,
            body=body.decode(response.encoding or "utf-8", "replace"),
            url=response.url,
            seconds=time.monotonic() - begun,
        )


def _bytes(request: Request, values: Values) -> bytes | None:
    return None if request.text is None else values.text(request.text).encode()


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__context__, one.__cause__]
        waiting += [part for part in one.args if isinstance(part, BaseException)]
        reason = getattr(one, "reason", None)
        waiting.append(reason if isinstance(reason, BaseException) else None)


def _fault(error: BaseException) -> str:
    """Say in one sentence why there was no answer; never with the URL, which may hold a secret."""
    causes = list(_causes(error))
    for cause in causes:
        fault = public_tls.fault(cause)
        if fault:
            return fault
    for cause in causes:
        if isinstance(cause, requests.TooManyRedirects):
            return f"more than {MOST_REDIRECTS} redirects"
        if isinstance(cause, urllib3.exceptions.NewConnectionError):
            return (
                str(cause).rpartition("cannot connect")[1]
                + str(cause).rpartition("cannot connect")[2]
            )
    last = causes[-1]
    return f"the connection failed: {last.strerror if isinstance(last, OSError) else last}"


def target_of(request: Request, values: Values) -> str:
    """Return ``POST https://...`` fit to be shown."""
    try:
        return values.shown(f"{request.method} {_url(request, values)}")
    except Exception:  # noqa: BLE001 - only a label; the failure itself is told elsewhere
        return f"{request.method} {request.url or request.path}"


def problems(expect: Expectation, answer: Answer, values: Values) -> Iterator[str]:
    """Yield in what way an answer is not as expected."""
    if answer.status not in expect.statuses:
        wanted = " or ".join(str(status) for status in expect.statuses)
        yield f"status is {answer.status}, expected {wanted}"
    if expect.within_seconds is not None and answer.seconds > expect.within_seconds:
        yield f"it took {answer.seconds:.2f} s, expected at most {expect.within_seconds:g} s"
    for name, rule in expect.headers.items():
        value = answer.headers.get(name, rules.ABSENT)
        yield from rules.judge(values.rule(rule), value, f"header {name}")
    yield from _json_problems(expect, answer, values)
    for text in expect.contains:
        if values.text(text) not in answer.body:
            yield f"the body does not contain {rules.shown(text)}"
    for text in expect.excludes:
        if values.text(text) in answer.body:
            yield f"the body contains {rules.shown(text)}"


def _json_problems(expect: Expectation, answer: Answer, values: Values) -> Iterator[str]:
    if expect.body_json is None and not expect.paths:
        return
    document = answer.document()
    if document is rules.ABSENT:
        yield "the body is not JSON"
        return
    if expect.body_json is not None:
        yield from rules.subset(values.filled(expect.body_json), document)
    for pointer, rule in expect.paths.items():
        value = rules.at(document, pointer)
        yield from rules.judge(values.rule(rule), value, f"json {pointer or '/'}")


def save(
    step: Exchange,
    answer: Answer,
    values: Values,
    cookies: requests.cookies.RequestsCookieJar,
) -> Iterator[str]:
    """Keep what the step saves; yield what could not be found."""
    for name, source in step.save.items():
        kind, _, key = source.partition(":")
        found: Any = rules.ABSENT
        if kind == "json":
            document = answer.document()
            found = rules.ABSENT if document is rules.ABSENT else rules.at(document, key)
        elif kind == "header":
            found = answer.headers.get(key, rules.ABSENT)
        elif kind == "cookie":
            found = cookies.get(key) or rules.ABSENT
        elif kind == "query":
            location = urllib.parse.urlsplit(answer.headers.get("location", ""))
            found = urllib.parse.parse_qs(location.query).get(key, [rules.ABSENT])[0]
        if found is rules.ABSENT:
            yield f"nothing to save as ${{{name}}}: the answer has no {source}"
        else:
            values.save(name, found)


def shown_answer(answer: Answer, values: Values) -> str:
    """Return status, time and the beginning of the body, masked."""
    body = values.redactor(excerpt(values.redactor(answer.body)))
    return f"answer: {answer.status} in {answer.seconds:.2f} s: {body}"
