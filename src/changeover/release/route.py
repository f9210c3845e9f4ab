"""Which releases lead from the live version to a target."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from changeover.errors import InvalidInput
from changeover.release.figures import version_order
from changeover.release.reading import unknown_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from changeover.release.model import Release


class VersionMayNotFollow(InvalidInput):
    """No chain of releases leads from the live version to the target."""


def path(
    app: str,
    releases: Mapping[str, Release],
    live: str | None,
    target: str,
    *,
    direct: bool = False,
) -> tuple[str, ...]:
    """Return the versions to deploy one after another, the target last; none when it is live.

    Nothing has to lie before the first deployment (``live`` is ``None``). Of several chains the
    shortest is taken, and of those the one through newer versions. ``direct`` skips the versions
    between, where the target's release allows that.

    Raises:
        VersionUnknown: The target has no release.
        VersionMayNotFollow: The releases do not allow it; the hint says what they do allow.
    """
    if target not in releases:
        raise unknown_version(app, target, releases)
    if live == target:
        return ()
    if live is None:
        return (target,)
    if direct:
        if live in (*releases[target].direct, *releases[target].follows):
            return (target,)
        raise VersionMayNotFollow(
            f"{app} {target} does not allow to come directly from {live}",
            hint=_what_may_follow(app, releases, live),
        )
    chain = _chain(releases, live, target)
    if chain is None:
        hint = _what_may_follow(app, releases, live)
        if live in releases[target].direct:
            hint = f"changeover deploy {target} --direct (high risk)"
        raise VersionMayNotFollow(f"{app} {target} may not follow {live}", hint=hint)
    return chain


def lineage(releases: Mapping[str, Release], target: str) -> tuple[str, ...]:
    """Return the target after all versions it grew from, oldest first: each follows the one before.

    Where a release may follow several, its newest predecessor counts.
    """
    chain = [target]
    while True:
        known = [old for old in releases[chain[0]].follows if old in releases and old not in chain]
        if not known:
            return tuple(chain)
        chain.insert(0, max(known, key=version_order))


def versions_between(
    releases: Mapping[str, Release], version: str, before: str | None
) -> tuple[str, ...]:
    """Return the versions that one grew from and an older one did not, oldest first; it is the last.

    Beside an older one that is unknown it stands alone: nobody can tell what that had. An unknown one
    has none.
    """
    if version not in releases:
        return ()
    if before is not None and before not in releases:
        return (version,)
    kept = lineage(releases, before) if before else ()
    return tuple(each for each in lineage(releases, version) if each not in kept)


def _chain(releases: Mapping[str, Release], live: str, target: str) -> tuple[str, ...] | None:
    waiting: deque[tuple[str, ...]] = deque([(target,)])
    seen = {target}
    while waiting:
        chain = waiting.popleft()
        before = releases[chain[0]].follows
        if live in before:
            return chain
        for version in sorted(before, key=version_order, reverse=True):
            if version in releases and version not in seen:
                seen.add(version)
                waiting.append((version, *chain))
    return None


def _what_may_follow(app: str, releases: Mapping[str, Release], live: str) -> str:
    allowed = sorted(
        (version for version, release in releases.items() if live in release.follows),
        key=version_order,
    )
    if allowed:
        return f"after {live} may come: {', '.join(allowed)}"
    older = [version for version in releases if version_order(version) < version_order(live)]
    back = (
        f"; to go back: changeover rollback --to {max(older, key=version_order)}" if older else ""
    )
    return f"no release of {app} may follow {live}{back}"
