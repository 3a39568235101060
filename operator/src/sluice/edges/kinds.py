"""Kinds: the resources that Sluice reads or writes, as the API server addresses them."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.core import objects


@dataclass(frozen=True)
class Kind:
    """A resource type."""

    api_version: str
    plural: str
    kind: str
    namespaced: bool = True
    label: str = ""
    """Only objects that carry this label are of interest: a cluster has many pods, and most are not ours."""

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        group, _, version = self.api_version.rpartition("/")
        return group if version else ""

    @property
    def version(self) -> str:
        """The version within the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, an object, or one of its subresources."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        parts = [root + where, self.plural, *([name] if name else []), *([subresource] if subresource else [])]
        return "/".join(parts)


_OF_KSERVE = "serving.kserve.io/inferenceservice"

MODEL_DEPLOYMENTS = Kind(objects.SLUICE, "modeldeployments", "ModelDeployment")
MODEL_REVISIONS = Kind(objects.SLUICE, "modelrevisions", "ModelRevision")
MODEL_MONITORS = Kind(objects.SLUICE, "modelmonitors", "ModelMonitor")
CLUSTER_MODEL_MONITORS = Kind(objects.SLUICE, "clustermodelmonitors", "ClusterModelMonitor", namespaced=False)
GOVERNANCE_POLICIES = Kind(objects.SLUICE, "governancepolicies", "GovernancePolicy", namespaced=False)
MODEL_DECISIONS = Kind(objects.SLUICE, "modeldecisions", "ModelDecision")
GOVERNANCE_EXCEPTIONS = Kind(objects.SLUICE, "governanceexceptions", "GovernanceException")
GOVERNANCE_EVIDENCE = Kind(objects.SLUICE, "governanceevidences", "GovernanceEvidence")
INFERENCE_SERVICES = Kind(objects.KSERVE, "inferenceservices", "InferenceService")
HTTP_ROUTES = Kind(objects.GATEWAY, "httproutes", "HTTPRoute")
GATEWAYS = Kind(objects.GATEWAY, "gateways", "Gateway")
DEPLOYMENTS = Kind("apps/v1", "deployments", "Deployment", label=_OF_KSERVE)
PODS = Kind("v1", "pods", "Pod", label=_OF_KSERVE)
JOBS = Kind("batch/v1", "jobs", "Job")
EVENTS = Kind("v1", "events", "Event")
REPORTS = Kind(objects.OPEN_REPORTS, "reports", "Report")
LEASES = Kind("coordination.k8s.io/v1", "leases", "Lease")

WATCHED = (
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    MODEL_MONITORS,
    CLUSTER_MODEL_MONITORS,
    GOVERNANCE_POLICIES,
    MODEL_DECISIONS,
    GOVERNANCE_EXCEPTIONS,
    INFERENCE_SERVICES,
    HTTP_ROUTES,
    GATEWAYS,
    DEPLOYMENTS,
    PODS,
)
