"""The rules by name. A rule's module is imported, and its data read, when it is first opened."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from moderation.errors import RuleError

if TYPE_CHECKING:
    from moderation.rules.base import Rule, RuleClass, Tools

#: name -> "module:class"; order means nothing, because findings join by maximum
RULES = MappingProxyType(
    {
        "lexicon": "moderation.rules.lexicon:LexiconRule",
        "minors": "moderation.rules.minors:MinorsRule",
        "names": "moderation.rules.names:NamesRule",
        "classifier": "moderation.rules.classifier:ClassifierRule",
        "spelling": "moderation.rules.spelling:SpellingRule",
        "removal": "moderation.rules.removal:RemovalRule",
        "image_safety": "moderation.rules.image_safety:ImageSafetyRule",
        "blank": "moderation.rules.blank:BlankRule",
        "protected": "moderation.rules.protected:ProtectedRule",
    }
)


def open_rule(name: str, tools: Tools) -> Rule:
    """Build the rule called `name`.

    Raises:
        RuleError: no such rule.
        RuleDataError: its data cannot be read.
    """
    try:
        module, _, attribute = RULES[name].partition(":")
    except KeyError:
        raise RuleError(name, "no such rule") from None
    rule = cast("RuleClass", getattr(importlib.import_module(module), attribute))
    return rule.open(tools)
