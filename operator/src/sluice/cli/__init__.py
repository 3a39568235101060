"""kubectl-sluice: what people see and do. Every act is a ModelDecision, so that plain kubectl can do the same."""
