"""Outbox: what ``spec.watch.hook`` must still be told.

It is kept in the status of the revision that it is about, written together with what it tells of, and taken out once
it was delivered. A crash in between loses nothing: at worst it is delivered twice, under the same id.
"""

from __future__ import annotations

from sluice.api.base import format_time
from sluice.api.modelrevision import MAX_NOTICES, Notice, NoticeKind
from sluice.api.watch import Hook
from sluice.core import reasons
from sluice.core.draft import Draft
from sluice.core.plan import Outgoing
from sluice.core.world import Revision


def put(draft: Draft, revision: Revision, kind: NoticeKind, monitor: str, message: str) -> None:
    """Tell the hook, if there is one."""
    if _hook(draft) is not None:
        notice = Notice(kind=kind, monitor=monitor, time=draft.now, message=message[:1024])
        waiting = draft.latest(revision).status.notices
        draft.update(revision, notices=[*waiting, notice][-MAX_NOTICES:])


def settle(draft: Draft) -> None:
    """Take out what was delivered, and everything where there is no hook any more."""
    hook = _hook(draft)
    for revision in draft.revisions:
        rest = []
        for notice in revision.status.notices if hook is not None else []:
            if _id(revision, notice) not in draft.world.delivered:
                rest.append(notice)
            else:
                message = f"the hook was told that {notice.monitor} {notice.kind.lower()} on {revision.name}"
                draft.say(reasons.HOOK_TOLD, message, revision)
        draft.update(revision, notices=rest)


def outgoing(draft: Draft) -> tuple[Outgoing, ...]:
    """What is to be sent: what the statuses hold, not what is about to be written. Who is told of a breach that never
    came to be on record cannot be told otherwise."""
    hook, world = _hook(draft), draft.world
    if hook is None:
        return ()
    return tuple(
        Outgoing(
            url=hook.url,
            timeout=hook.timeout,
            id=_id(revision, notice),
            source=f"/apis/sluice.dev/v1alpha1/namespaces/{world.namespace}/modeldeployments/{world.name}",
            type=f"dev.sluice.watch.{notice.kind.lower()}",
            subject=revision.name,
            time=notice.time,
            monitor=notice.monitor,
            message=notice.message,
            model=revision.spec.model,
        )
        for revision in world.revisions
        for notice in revision.status.notices
    )


def _hook(draft: Draft) -> Hook | None:
    watch = draft.world.spec.watch
    return watch.hook if watch is not None else None


def _id(revision: Revision, notice: Notice) -> str:
    """The same for the same notice, whoever sends it; together with the source it is like no other's."""
    return f"{revision.name}.{notice.monitor}.{notice.kind.lower()}.{format_time(notice.time)}"
