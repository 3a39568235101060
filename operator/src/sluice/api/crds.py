"""The kinds of Sluice as CustomResourceDefinitions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sluice.api import GROUP, VERSION
from sluice.api.base import Resource
from sluice.api.governanceevidence import GovernanceEvidenceSpec, GovernanceEvidenceStatus
from sluice.api.governanceexception import GovernanceExceptionSpec, GovernanceExceptionStatus
from sluice.api.governancepolicy import GovernancePolicySpec, GovernancePolicyStatus
from sluice.api.markers import Rule
from sluice.api.modeldecision import ModelDecisionSpec, ModelDecisionStatus
from sluice.api.modeldeployment import MAX_NAME, ModelDeploymentSpec, ModelDeploymentStatus
from sluice.api.modelmonitor import ModelMonitorSpec, ModelMonitorStatus
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.schema import Schema, structural


class Scope(StrEnum):
    """Whether a kind lives in namespaces."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False
    """Shown with ``-o wide`` only."""

    def manifest(self) -> dict[str, Any]:
        """The column as a CRD states it."""
        priority = {"priority": 1} if self.wide else {}
        return {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "jsonPath": self.path,
            **priority,
        }


@dataclass(frozen=True)
class Kind:
    """What the API server must know about one kind."""

    name: str
    short_name: str
    description: str
    spec: type[Resource]
    status: type[Resource]
    columns: tuple[Column, ...]
    scope: Scope = Scope.NAMESPACED
    rules: tuple[Rule, ...] = ()
    """What must hold of the object as a whole; of its metadata, CEL sees the name alone."""
    plural: str = ""
    """The name in URLs; by default the singular with an s."""
    selectable: tuple[str, ...] = ()
    """JSON paths that ``kubectl get --field-selector`` may name."""

    @property
    def singular(self) -> str:
        """The name as typed after ``kubectl get``."""
        return self.name.lower()

    def __post_init__(self) -> None:
        if not self.plural:
            object.__setattr__(self, "plural", f"{self.singular}s")

    def schema(self) -> Schema:
        """The schema of the whole object."""
        root: Schema = {
            "description": self.description,
            "type": "object",
            "properties": {
                "apiVersion": {"description": f"Always {GROUP}/{VERSION}.", "type": "string", "maxLength": 64},
                "kind": {"description": f"Always {self.name}.", "type": "string", "maxLength": 64},
                # The API server describes metadata itself, and lets us name only what our rules speak of.
                "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
                "spec": structural(self.spec),
                "status": structural(self.status, defaults=False),
            },
            "required": ["spec"],
        }
        for rule in self.rules:
            rule.add_to(root)
        return root

    def manifest(self) -> dict[str, Any]:
        """The CustomResourceDefinition, ready to be applied."""
        selectable = {"selectableFields": [{"jsonPath": path} for path in self.selectable]} if self.selectable else {}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "scope": self.scope.value,
                "names": {
                    "kind": self.name,
                    "listKind": f"{self.name}List",
                    "plural": self.plural,
                    "singular": self.singular,
                    "shortNames": [self.short_name],
                    "categories": ["sluice"],
                },
                "versions": [
                    {
                        "name": VERSION,
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}},
                        "additionalPrinterColumns": [column.manifest() for column in self.columns],
                        **selectable,
                        "schema": {"openAPIV3Schema": self.schema()},
                    }
                ],
            },
        }


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since the object was created.", type="date")
_READY = '.status.conditions[?(@.type=="Ready")]'

MODEL_DEPLOYMENT = Kind(
    name="ModelDeployment",
    short_name="md",
    description="A ModelDeployment says which registered model is to be served, and how carefully a new version of "
    "it takes over.",
    spec=ModelDeploymentSpec,
    status=ModelDeploymentStatus,
    rules=(
        Rule(
            f"size(self.metadata.name) <= {MAX_NAME}",
            f"must be at most {MAX_NAME} characters, for the names of Services and labels derived from it are "
            "limited to 63",
            field=".metadata.name",
        ),
        Rule(
            "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "must be lower-case letters, digits and dashes, begin with a letter and not end with a dash, for it "
            "becomes part of the names of Services",
            field=".metadata.name",
        ),
    ),
    columns=(
        Column("Phase", ".status.phase", "The state in one word."),
        Column("Model", ".spec.model.name", "The registered model."),
        Column("Version", ".spec.model.version", "The version asked for; empty when asked for by alias."),
        Column("Alias", ".spec.model.alias", "The alias asked for; empty when asked for by version.", wide=True),
        Column("Stable", ".status.stableRevision", "The revision that was promoted last."),
        Column("Candidate", ".status.candidateRevision", "The revision being released."),
        Column("Step", ".status.step.index", "The current step of the rollout, counted from 1.", type="integer"),
        Column("Weight", ".status.step.weight", "The candidate's share of live traffic in percent.", type="integer"),
        Column("Blocked-By", ".status.governance.blockedBy", "The controls that hold the release back."),
        Column("Message", ".status.message", "The state in one sentence.", wide=True),
        Column("URL", ".status.url", "Where the model answers.", wide=True),
        _AGE,
    ),
)

MODEL_REVISION = Kind(
    name="ModelRevision",
    short_name="mrev",
    description="A ModelRevision is one immutable model version with the plan of its release, and the record of how "
    "that release went. Sluice makes them; people read them.",
    spec=ModelRevisionSpec,
    status=ModelRevisionStatus,
    selectable=(".spec.deployment", ".status.phase"),
    columns=(
        Column("Deployment", ".spec.deployment", "The ModelDeployment it belongs to."),
        Column("Model", ".spec.model.name", "The registered model."),
        Column("Version", ".spec.model.version", "The pinned version of the model."),
        Column("Phase", ".status.phase", "Where the release stands."),
        Column("Step", ".status.step", "The current step, counted from 0.", type="integer"),
        Column("Reason", ".status.reason", "Why the phase was entered."),
        Column("Message", ".status.message", "Why, in a sentence.", wide=True),
        Column("Digest", ".spec.model.digest", "The pinned digest of the model's files.", wide=True),
        _AGE,
    ),
)

_MONITOR_COLUMNS = (
    Column("SLO", ".spec.slo.window", "The window of a service level read from Prometheus."),
    Column("Drift", ".spec.drift.subject", "What a drift monitor compares."),
    Column("Workload", ".spec.workload.startTimeout", "How long the pods of a workload monitor may take to start."),
    Column("Ready", f"{_READY}.status", "Whether the monitor can be read."),
    Column("Reason", f"{_READY}.reason", "Why, in one word."),
    Column("Message", f"{_READY}.message", "Why, in a sentence.", wide=True),
    Column("Description", ".spec.description", "What the monitor tells.", wide=True),
    _AGE,
)

MODEL_MONITOR = Kind(
    name="ModelMonitor",
    short_name="mmon",
    description="A ModelMonitor is one reusable gauge for the ModelDeployments of its namespace.",
    spec=ModelMonitorSpec,
    status=ModelMonitorStatus,
    columns=_MONITOR_COLUMNS,
)

CLUSTER_MODEL_MONITOR = Kind(
    name="ClusterModelMonitor",
    short_name="cmmon",
    description="A ClusterModelMonitor is one reusable gauge for the ModelDeployments of all namespaces.",
    spec=ModelMonitorSpec,
    status=ModelMonitorStatus,
    columns=_MONITOR_COLUMNS,
    scope=Scope.CLUSTER,
)

GOVERNANCE_POLICY = Kind(
    name="GovernancePolicy",
    plural="governancepolicies",
    short_name="gpol",
    description="A GovernancePolicy says what must be true of a release, and who must have agreed to it.",
    spec=GovernancePolicySpec,
    status=GovernancePolicyStatus,
    columns=(
        Column("Tiers", ".spec.appliesTo.riskTiers", "The risk tiers it is about; empty means all."),
        Column("Namespaces", ".spec.appliesTo.namespaces", "The namespaces it is about; empty means all."),
        Column("Ready", f"{_READY}.status", "Whether it can be evaluated."),
        Column("Reason", f"{_READY}.reason", "Why, in one word."),
        Column("Message", f"{_READY}.message", "Why, in a sentence.", wide=True),
        Column("Digest", ".status.digest", "What approvals and records name.", wide=True),
        _AGE,
    ),
    scope=Scope.CLUSTER,
)

_ACCEPTED = '.status.conditions[?(@.type=="Accepted")]'

MODEL_DECISION = Kind(
    name="ModelDecision",
    short_name="mdec",
    description="A ModelDecision is one person's act on one release, such as an approval. It never changes.",
    spec=ModelDecisionSpec,
    status=ModelDecisionStatus,
    selectable=(".spec.target.deployment", ".spec.action"),
    columns=(
        Column("Action", ".spec.action", "What was done."),
        Column("Revision", ".spec.target.revision", "The revision it was done to."),
        Column("Role", ".spec.role", "The role it was done in."),
        Column("By", ".spec.actor.username", "Who did it."),
        Column("Accepted", f"{_ACCEPTED}.status", "Whether it counts."),
        Column("Why", f"{_ACCEPTED}.reason", "Why, in one word."),
        Column("Expires", ".spec.expiresAt", "Until when it is valid.", type="date", wide=True),
        Column("Message", f"{_ACCEPTED}.message", "Why, in a sentence.", wide=True),
        _AGE,
    ),
)

GOVERNANCE_EXCEPTION = Kind(
    name="GovernanceException",
    short_name="gexc",
    description="A GovernanceException waives one control for one release, until a day.",
    spec=GovernanceExceptionSpec,
    status=GovernanceExceptionStatus,
    selectable=(".spec.target.deployment",),
    columns=(
        Column("Control", ".spec.control", "The control that is waived."),
        Column("Revision", ".spec.target.revision", "The revision it was granted for."),
        Column("By", ".spec.approver.username", "Who granted it."),
        Column("Ticket", ".spec.ticket", "The ticket of the exception."),
        Column("Expires", ".spec.expiresAt", "Until when it holds.", type="date"),
        Column("Accepted", f"{_ACCEPTED}.status", "Whether it is in force."),
        Column("Message", f"{_ACCEPTED}.message", "Why, in a sentence.", wide=True),
        _AGE,
    ),
)

GOVERNANCE_EVIDENCE = Kind(
    name="GovernanceEvidence",
    short_name="gev",
    description="GovernanceEvidence is a document that a record refers to by its digest. Sluice makes it; it never "
    "changes.",
    spec=GovernanceEvidenceSpec,
    status=GovernanceEvidenceStatus,
    selectable=(".spec.revision", ".spec.kind"),
    columns=(
        Column("Revision", ".spec.revision", "The revision whose record refers to it."),
        Column("Kind", ".spec.kind", "What kind of document."),
        Column("Digest", ".spec.digest", "SHA-256 over the decoded content.", wide=True),
        _AGE,
    ),
)

KINDS = (
    MODEL_DEPLOYMENT,
    MODEL_REVISION,
    MODEL_MONITOR,
    CLUSTER_MODEL_MONITOR,
    GOVERNANCE_POLICY,
    MODEL_DECISION,
    GOVERNANCE_EXCEPTION,
    GOVERNANCE_EVIDENCE,
)
