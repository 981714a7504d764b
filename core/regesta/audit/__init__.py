"""The persistent audit trail."""

from regesta.audit.documents import AuditEventRead, AuditRecord
from regesta.audit.trail import AuditTrail, audit_events

__all__ = ["AuditEventRead", "AuditRecord", "AuditTrail", "audit_events"]
