"""Acts: what a person asks for, as the ModelDecision or GovernanceException that says it. No I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sluice.api.base import Resource
from sluice.api.governance import ApprovalState
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import Action, Actor, ApprovalConditions, ModelDecisionSpec, Subject, Target
from sluice.api.modelrevision import RevisionPhase
from sluice.cli.release import Release
from sluice.cli.trouble import Exit, Trouble
from sluice.core.governance.facts import Decision
from sluice.core.objects import DEPLOYMENT_LABEL, REVISION_LABEL, SLUICE, Object
from sluice.core.world import Revision

WITH_ROLE = (Action.APPROVE, Action.REJECT, Action.REVOKE)


@dataclass(frozen=True)
class Wish:
    """What the command line said."""

    action: Action
    revision: str | None = None
    role: str | None = None
    reason: str = ""
    ticket: str | None = None
    expires_at: datetime | None = None
    max_weight: int | None = None
    revokes: str | None = None


def decision(release: Release, wish: Wish, actor: str, may: Collection[str] = ()) -> Object:
    """The ModelDecision; ``may`` are the roles the person may act in, as far as the API server says.

    Raises:
        Trouble: it is not clear what is meant, or there is nothing to do it to.
    """
    revoked = _revoked(release, wish, actor) if wish.action is Action.REVOKE else None
    revision = release.revision(revoked.spec.target.revision) if revoked else target(release, wish)
    spec = ModelDecisionSpec.model_construct(
        action=wish.action,
        actor=Actor(username=actor),
        target=_target(release, revision),
        subject=_subject(revision),
        role=_role(release, wish, revoked, may),
        policy_digest=_policies(release, revision) if wish.action is Action.APPROVE else None,
        revokes=revoked.name if revoked else None,
        reason=wish.reason,
        ticket=wish.ticket,
        expires_at=wish.expires_at,
        conditions=ApprovalConditions(max_weight=wish.max_weight) if wish.max_weight is not None else None,
    )
    return _manifest("ModelDecision", release, revision, wish.action.value.lower(), spec)


def exception(
    release: Release, control: str, actor: str, *, reason: str, ticket: str, expires_at: datetime, revision: str | None
) -> Object:
    """The GovernanceException that waives a control for the release."""
    wanted = target(release, Wish(Action.APPROVE, revision=revision))
    spec = GovernanceExceptionSpec.model_construct(
        control=control,
        approver=Actor(username=actor),
        target=_target(release, wanted),
        subject=_subject(wanted),
        reason=reason,
        ticket=ticket,
        expires_at=expires_at,
    )
    return _manifest("GovernanceException", release, wanted, control.lower(), spec)


def target(release: Release, wish: Wish) -> Revision:
    """Which revision is meant, where it was not said.

    Raises:
        Trouble: there is none that it could be.
    """
    if wish.revision is not None:
        return release.revision(wish.revision)
    name = release.name
    if wish.action is Action.ROLLBACK:
        return _earlier(release)
    if wish.action is Action.RETRY:
        failed = [r for r in release.revisions if r.phase is RevisionPhase.ROLLED_BACK]
        if not failed:
            raise Trouble(Exit.FAILED, f"nothing of {name} was rolled back, so there is nothing to retry")
        return max(failed, key=lambda r: r.targeted_at)
    if wish.action in (Action.APPROVE, Action.REJECT):
        governed = release.status.governance
        if governed and governed.revision:
            return release.revision(governed.revision)
    if release.status.candidate_revision:
        return release.revision(release.status.candidate_revision)
    if wish.action is Action.APPROVE and release.revisions:
        return release.revisions[-1]
    waiting = [r for r in release.revisions if r.in_progress]
    if waiting:
        return waiting[-1]
    hint = "" if not release.status.stable_revision else f"kubectl sluice rollback {name}   # to undo a promotion"
    verb = wish.action.value.lower()
    raise Trouble(Exit.FAILED, f"no release of {name} is in progress, so there is nothing to {verb}", hint)


def lacking(release: Release) -> list[ApprovalState]:
    """The approvals that are required and not given."""
    governed = release.status.governance
    return [a for a in governed.approvals if a.given < a.required] if governed else []


def _earlier(release: Release) -> Revision:
    stable = release.status.stable_revision
    promoted = [r for r in release.revisions if r.status.promoted_at and r.name != stable]
    running = [r for r in promoted if r.running]
    if not running:
        kept = f" ({promoted[-1].name} is no longer running)" if promoted else ""
        message = f"no earlier revision of {release.name} still runs{kept}"
        hint = "release the earlier version again: set spec.model.version to it and apply"
        raise Trouble(Exit.FAILED, message, hint)
    return max(running, key=lambda r: r.status.promoted_at or r.spec.requested_at)


def _revoked(release: Release, wish: Wish, actor: str) -> Decision:
    given = [d for d in release.decisions if d.spec.action is Action.APPROVE]
    taken = {d.spec.revokes for d in release.decisions if d.spec.action is Action.REVOKE}
    open_ones = [d for d in given if d.name not in taken]
    if wish.revokes is not None:
        found = next((d for d in given if d.name == wish.revokes), None)
        if found is None:
            raise Trouble(Exit.NOT_FOUND, f"{release.name} has no approval {wish.revokes}", _ask(release))
        return found
    if wish.revision is not None:
        wanted = release.revision(wish.revision).name
        open_ones = [d for d in open_ones if d.spec.target.revision == wanted]
    if wish.role is not None:
        open_ones = [d for d in open_ones if d.spec.role == wish.role]
    own = [d for d in open_ones if d.spec.actor.username == actor] or open_ones
    if len(own) == 1:
        return own[0]
    if not own:
        raise Trouble(Exit.FAILED, f"there is no approval of {release.name} to revoke", _ask(release))
    names = ", ".join(f"{d.name} ({d.spec.role})" for d in own)
    raise Trouble(Exit.USAGE, f"which approval? say --decision, one of: {names}")


def _ask(release: Release) -> str:
    return f"kubectl get modeldecisions -n {release.namespace} -l {DEPLOYMENT_LABEL}={release.name}"


def _role(release: Release, wish: Wish, revoked: Decision | None, may: Collection[str]) -> str | None:
    if wish.action not in WITH_ROLE:
        return None
    if wish.role is not None:
        return wish.role
    if revoked is not None:
        return revoked.spec.role
    governed = release.status.governance
    states = governed.approvals if governed else []
    waiting = [a.role for a in states if a.given < a.required] or [a.role for a in states]
    mine = [role for role in waiting if role in may]
    for choice in (waiting, mine):
        if len(choice) == 1:
            return choice[0]
    if not waiting:
        raise Trouble(Exit.USAGE, "no policy asks for an approval here; if you mean one in a step, say --role")
    raise Trouble(Exit.USAGE, f"in which role? say --role, one of: {', '.join(waiting)}")


def _policies(release: Release, revision: Revision) -> str:
    """The policies that an approval is given under: today's, or those that what serves was released under."""
    governed = release.status.governance
    if governed is not None and governed.revision in (None, revision.name):
        found = governed.policy_digest
    else:
        found = revision.status.policy_digest
    if found is None:
        message = f"no policy applies to {revision.name}, so there is nothing that an approval could be given under"
        raise Trouble(Exit.FAILED, message, f"kubectl sluice policies {release.name} -n {release.namespace}")
    return found


def _target(release: Release, revision: Revision) -> Target:
    return Target(deployment=release.name, uid=release.uid, revision=revision.name)


def _subject(revision: Revision) -> Subject:
    model = revision.spec.model
    return Subject(model=model.name, version=model.version, digest=model.digest)


def _manifest(kind: str, release: Release, revision: Revision, what: str, spec: Resource) -> Object:
    metadata = {
        "generateName": f"{revision.name}-{what}-",
        "namespace": release.namespace,
        "labels": {DEPLOYMENT_LABEL: release.name, REVISION_LABEL: revision.name},
    }
    content = spec.dump()
    if not content.get("reason"):
        content.pop("reason", None)
    return {"apiVersion": SLUICE, "kind": kind, "metadata": metadata, "spec": content}
