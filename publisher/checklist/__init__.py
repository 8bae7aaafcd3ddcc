"""The checks an item must pass before it leaves. Pure: item in, findings out; rules are data."""

from publisher.checklist.engine import Checklist
from publisher.checklist.errors import RuleError
from publisher.checklist.findings import Finding, Report, Severity
from publisher.checklist.rules import Rule

__all__ = ["Checklist", "Finding", "Report", "Rule", "RuleError", "Severity"]
