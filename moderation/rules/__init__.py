"""The rules by name. A rule's module is imported, and its data read, when it is first opened."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from moderation.errors import PolicyError, RuleError
from moderation.types import Content, PromptContent

if TYPE_CHECKING:
    from moderation.policy import Policy
    from moderation.rules.base import Rule, RuleClass, Tools

#: name -> "module:class"; order means nothing, because findings join by maximum
RULES = MappingProxyType(
    {
        "lexicon": "moderation.rules.lexicon:LexiconRule",
        "minors": "moderation.rules.minors:MinorsRule",
        "names": "moderation.rules.names:NamesRule",
        "classifier": "moderation.rules.classifier:ClassifierRule",
        "guard": "moderation.rules.guard:GuardRule",
        "spelling": "moderation.rules.spelling:SpellingRule",
        "removal": "moderation.rules.removal:RemovalRule",
        "image_safety": "moderation.rules.image_safety:ImageSafetyRule",
        "second_nsfw": "moderation.rules.second_nsfw:SecondNsfwRule",
        "blank": "moderation.rules.blank:BlankRule",
        "watermark": "moderation.rules.watermark:WatermarkRule",
        "faces": "moderation.rules.faces:FacesRule",
        "near_copy": "moderation.rules.near_copy:NearCopyRule",
        "protected": "moderation.rules.protected:ProtectedRule",
        "protected_parts": "moderation.rules.protected_parts:ProtectedPartsRule",
    }
)

PROMPT_RULES = frozenset({"lexicon", "minors", "names", "classifier", "guard", "spelling", "removal"})
PICTURE_RULES = frozenset(
    {"image_safety", "second_nsfw", "blank", "watermark", "faces", "near_copy", "protected_parts"}
)
# any other rule reads both

#: rules that run only where something beyond the core is installed: name -> (module, extra)
OPTIONAL: Mapping[str, tuple[str, str]] = MappingProxyType({"faces": ("dlib", "faces")})
#: rules for prompts that are slow enough to need threads of their own
SLOW_RULES = frozenset({"guard"})


def judges(name: str, content: Content) -> bool:
    """Whether the rule called `name` has anything to say about content of this kind."""
    return name not in (PICTURE_RULES if isinstance(content, PromptContent) else PROMPT_RULES)


def lacking(name: str) -> str | None:
    """Return what to install before the rule called `name` can run; None: nothing."""
    module, extra = OPTIONAL.get(name, ("", ""))
    if not module or _installed(module):
        return None
    return f"pip install 'verso-bot[{extra}]'"


def require(policy: Policy) -> None:
    """See that every rule which the policy demands can run here.

    Raises:
        PolicyError: something is lacking for one; says what to install.
    """
    for name, rule in policy.rules.items():
        if rule.on and rule.demanded and (needed := lacking(name)) is not None:
            reason = f"the rule cannot run here: {needed}, or take the line out"
            raise PolicyError(reason, field=f"rule.{name}.on")


@functools.cache
def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


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
