"""Reasons: one CamelCase word each, the same in conditions, Events, logs and metrics.

docs/troubleshooting.md has a section for each that a person must act on; a test holds the two together.
"""

# Before a release can start
MODEL_NOT_FOUND = "ModelNotFound"
MODEL_ARTIFACT_MISSING = "ModelArtifactMissing"
MODEL_REGISTRY_UNAVAILABLE = "ModelRegistryUnavailable"
MODEL_UNUSABLE = "ModelUnusable"
MODEL_RESOLVING = "ModelResolving"
MODEL_RESOLVED = "ModelResolved"
ALIAS_MOVED = "AliasMoved"
INVALID_SPEC = "InvalidSpec"
MONITOR_NOT_FOUND = "MonitorNotFound"
KSERVE_NOT_INSTALLED = "KServeNotInstalled"
GATEWAY_API_NOT_INSTALLED = "GatewayAPINotInstalled"
GATEWAY_NOT_FOUND = "GatewayNotFound"
GATEWAY_NOT_PROGRAMMED = "GatewayNotProgrammed"
HOSTNAME_CONFLICT = "HostnameConflict"
NAME_TOO_LONG = "NameTooLong"

# A release on its way
REVISION_CREATED = "RevisionCreated"
REVISION_REUSED = "RevisionReused"
WORKLOAD_STARTING = "WorkloadStarting"
WORKLOAD_REFUSED = "WorkloadRefused"
ROUTE_REFUSED = "RouteRefused"
ROUTE_NOT_PROGRAMMED = "RouteNotProgrammed"
STEP_STARTED = "StepStarted"
HOLDING = "Holding"
GATES_INCONCLUSIVE = "GatesInconclusive"
GATES_UNANSWERED = "GatesUnanswered"
SPEC_CHANGED = "SpecChanged"
DEADLINE_PAUSED = "ProgressDeadlinePaused"

# How a release ends
PROMOTED = "RevisionPromoted"
SUPERSEDED = "RevisionSuperseded"
SLO_BREACHED = "SLOBreached"
DRIFT_DETECTED = "DriftDetected"
WORKLOAD_UNHEALTHY = "WorkloadUnhealthy"
PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
ROLLED_BACK = "RolledBack"
RETIRED = "RevisionRetired"
REPLACED = "RevisionReplaced"
STARTED = "RevisionStarted"

# After the promotion
BREACHED = "Breached"
FAILING_BRIEFLY = "FailingBriefly"
RECOVERED = "Recovered"
RETURNED = "ReturnedAfterBreach"
HOOK_TOLD = "HookTold"
HOOK_UNANSWERED = "HookUnanswered"
HOOK_NOT_ALLOWED = "HookNotAllowed"

# Hand edits
ROUTE_CORRECTED = "RouteCorrected"
WORKLOAD_CORRECTED = "WorkloadCorrected"

# Conditions without news
SERVING = "Serving"
NOT_SERVING = "NotServing"
NO_MONITORS = "NoMonitors"
ALL_PASSING = "AllPassing"
NOT_EVALUATED = "NotEvaluated"

# Why a monitor answered as it did
WITHIN_LIMITS = "WithinLimits"
OUTSIDE_LIMITS = "OutsideLimits"
WORSE_THAN_STABLE = "WorseThanStable"
TOO_FEW_SAMPLES = "TooFewSamples"
NO_DATA = "NoData"
NOT_A_NUMBER = "NotANumber"
SEVERAL_SERIES = "SeveralSeries"
NOT_A_HISTOGRAM = "NotAHistogram"
BEYOND_BUCKETS = "BeyondBuckets"
WINDOW_NOT_FULL = "WindowNotFull"
NO_STABLE_DATA = "NoStableData"
QUERY_FAILED = "QueryFailed"
SOURCE_UNAVAILABLE = "SourceUnavailable"
WEBHOOK_PASSED = "WebhookPassed"
WEBHOOK_FAILED = "WebhookFailed"
WEBHOOK_UNDECIDED = "WebhookUndecided"
WEBHOOK_UNUSABLE = "WebhookUnusable"
WEBHOOK_NOT_ALLOWED = "WebhookNotAllowed"
PERFORMANCE_DEGRADED = "PerformanceDegraded"
WORKLOAD_READY = "WorkloadReady"

# Why a workload does not start
DIGEST_MISMATCH = "DigestMismatch"

# Governance
GOVERNANCE_BLOCKED = "GovernanceBlocked"
AWAITING_APPROVAL = "AwaitingApproval"
GOVERNANCE_SATISFIED = "GovernanceSatisfied"
NOT_GOVERNED = "NotGoverned"
FROZEN = "ApprovalLapsed"
APPROVAL_TIMED_OUT = "ApprovalDeadlineExceeded"
REJECTED = "Rejected"

# What people do
PAUSED_BY_PERSON = "Paused"
RESUMED_BY_PERSON = "Resumed"
ABORTED = "Aborted"
PROMOTED_BY_PERSON = "PromotedByPerson"
ROLLED_BACK_BY_PERSON = "ReturnedByPerson"
RETRIED = "Retried"
DECISION_ACCEPTED = "Accepted"
DECISION_EXPIRED = "Expired"
NOT_POSSIBLE = "NotPossible"
OTHER_TARGET = "OtherTarget"
OTHER_MODEL = "OtherModel"
NOT_A_PERSON = "NotAPerson"
NOT_REQUIRED = "NotRequired"
APPROVALS_MISSING = "ApprovalsMissing"
TOO_MANY_DECISIONS = "TooManyDecisions"
EVIDENCE_REFUSED = "EvidenceRefused"
NOT_WAIVABLE = "NotWaivable"
NOT_JUSTIFIED = "NotJustified"
NOT_GUARDED = "NotGuarded"
NOT_INDEPENDENT = "NotIndependent"
LASTS_TOO_LONG = "LastsTooLong"
EXCEPTION_DELETED = "ExceptionDeleted"

# What is wrong with a policy
POLICY_READY = "PolicyReady"
POLICY_INVALID = "PolicyInvalid"
RULES_UNCHECKED = "RulesUnchecked"

# Sealing
ANCHOR_UNAVAILABLE = "AnchorUnavailable"
ANCHOR_CONFLICT = "AnchorConflict"
SIGNING_KEY_UNUSABLE = "SigningKeyUnusable"
