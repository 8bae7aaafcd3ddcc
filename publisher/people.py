"""Who may sign which stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from publisher.problems import Refused
from publisher.texts import bilingual


@dataclass(frozen=True, slots=True)
class Signing:
    """`stages` in order; `may_sign` is person -> stages."""

    stages: tuple[str, ...]
    may_sign: Mapping[str, tuple[str, ...]]

    def check(self, person: str, stage: str) -> None:
        """Raises `Refused` when the stage or the person is unknown, or the person may not sign it."""
        if stage not in self.stages:
            raise Refused(
                "no_such_stage",
                bilingual("There is no stage {stage}.", stage=stage),
                bilingual("The stages are: {stages}.", stages=", ".join(self.stages)),
            )
        if person not in self.may_sign:
            raise Refused(
                "no_such_person",
                bilingual("{person} is not in people.toml.", person=person),
                bilingual("Add the person there, or sign as somebody who is."),
            )
        if stage not in self.may_sign[person]:
            allowed = [p for p, stages in self.may_sign.items() if stage in stages]
            raise Refused(
                "may_not_sign",
                bilingual("{person} may not sign the stage {stage}.", person=person, stage=stage),
                bilingual("These may: {people}.", people=", ".join(allowed) or "-"),
            )
