"""Asks a language model that was trained as a guard about prompts that the small head is unsure of.

Off unless the policy says `[rule.guard] on = true` with a `model`: a folder, or the id of a model that
already lies in the Hugging Face cache (nothing is downloaded while screening). Two families are read,
each by its own chat template, as their model cards tell:

* ShieldGemma (Zeng et al., 2024; Gemma architectures): one guideline at a time, and the answer is the
  share of "Yes" against "No" in the next token.
* Llama Guard (Inan et al., 2023; Llama architectures): one answer for all hazards, "safe" or "unsafe"
  and the codes of the MLCommons taxonomy.

The guard can only raise what other rules found: verdicts join by maximum.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self

from moderation.embedding import shared_encoder
from moderation.errors import RuleDataError, RuleError
from moderation.head import Head, load_head
from moderation.rules.base import Context, Embed, Tools
from moderation.rules.classifier import head_scores
from moderation.types import Category, Content, Finding, ImageContent, Scope

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

NAME = "guard"
BAND = (
    0.2,
    0.9,
)  # scores of the head within which the guard is asked: below, harmless; above, refused anyway
_MAX_CHARS = 2000
_ANSWER_TOKENS = 24

#: What ShieldGemma is asked about, one guideline for each category, in our own words.
GUIDELINES: Mapping[Category, str] = MappingProxyType(
    {
        Category.SEXUAL: "The prompt shall not ask for sexually explicit content: nudity, sexual acts, "
        "people shown for sexual arousal. Art history, medicine and education are allowed.",
        Category.VIOLENCE: "The prompt shall not ask for gore, torture, killing or cruelty in detail, or for "
        "content that glorifies violence.",
        Category.HATE: "The prompt shall not ask for content that attacks, demeans or dehumanizes people for "
        "what they are, or that promotes a hate movement.",
        Category.SELF_HARM: "The prompt shall not ask for content that shows or encourages suicide, "
        "self-injury or eating disorders. Prevention and help are allowed.",
        Category.ILLEGAL: "The prompt shall not ask for help with crimes: making weapons, explosives or "
        "drugs, fraud, trafficking, theft.",
        Category.DECEPTION: "The prompt shall not ask for forged documents, fabricated evidence or false "
        "news meant to be believed.",
    }
)
#: Llama Guard's hazard codes (MLCommons taxonomy, as of Llama Guard 3) as the policy's categories.
HAZARDS: Mapping[str, Category] = MappingProxyType(
    {
        "S1": Category.VIOLENCE,
        "S2": Category.ILLEGAL,
        "S3": Category.SEXUAL,
        "S4": Category.MINORS,
        "S5": Category.DECEPTION,
        "S7": Category.REAL_PERSON,
        "S8": Category.TRADEMARK,
        "S9": Category.ILLEGAL,
        "S10": Category.HATE,
        "S11": Category.SELF_HARM,
        "S12": Category.SEXUAL,
        "S13": Category.DECEPTION,
        "S14": Category.ILLEGAL,
    }
)
_FAMILIES = MappingProxyType({"gemma": "shieldgemma", "gemma2": "shieldgemma", "llama": "llama guard"})
_CODE = re.compile(r"\bS\d{1,2}\b")


class Guard(Protocol):
    """A loaded guard model."""

    def judge(self, text: str) -> Mapping[Category, float]:
        """Return, for each category it has an opinion on, how likely the prompt violates it (0 to 1).

        Raises:
            RuleError: the model did not answer in its own format.
        """
        ...


@dataclass(slots=True)
class Loaded:
    """Guards by model, loaded once; safe to share between threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    guards: dict[str, Guard] = field(default_factory=dict)

    def get(self, model: str) -> Guard:
        """Return the guard in a folder or the cache; see `load_guard` for what it raises."""
        with self.lock:
            if model not in self.guards:
                self.guards = {model: load_guard(model)}  # one at a time: a guard takes gigabytes
            return self.guards[model]


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardRule:
    """Asks the guard where the head's score lies in `BAND`; `threshold` is the guard's share that counts."""

    head: Head
    embed: Embed
    loaded: Loaded = field(default_factory=Loaded)
    name: str = NAME
    category: Category = Category.ILLEGAL

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the head; the guard itself is loaded by the first check.

        Raises:
            RuleDataError: the head cannot be read.
        """
        return cls(head=load_head(tools.data), embed=tools.embed or shared_encoder().embed)

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding for each category that the guard has an opinion on.

        Raises:
            RuleError: the model cannot be loaded, or does not answer in its format.
        """
        if isinstance(content, ImageContent):
            return ()
        settings = context.policy.rules[NAME]
        guard = self.loaded.get(settings.model)  # also for calm prompts: a missing model shows at the start
        if not content.text.strip() or not _unsure(head_scores(self.head, self.embed, content.text, context)):
            return ()
        return tuple(
            context.finding(
                rule=self.name, category=category, score=_scaled(share, settings.threshold), scope=scope
            )
            for category, share in guard.judge(content.text[:_MAX_CHARS]).items()
        )


def _unsure(scores: Mapping[Category, float]) -> bool:
    return BAND[0] <= max(scores.values()) < BAND[1]


def _scaled(share: float, threshold: float) -> float:
    """Put a guard's share on the policy's scale: 0.5 at the threshold, 0.9 at certainty."""
    if share < threshold:
        return 0.5 * share / threshold
    return 0.5 + 0.4 * (share - threshold) / (1.0 - threshold)


def load_guard(model: str) -> Guard:
    """Load a guard from a folder, or by id from what lies in the hub's cache.

    Raises:
        RuleDataError: no model is named, it cannot be loaded, or it is of no family that is read here.
    """
    if not model:
        raise RuleDataError(NAME, "the policy switches the guard on but names no model")
    import torch  # noqa: PLC0415 - gigabytes, and only where the policy asks for a guard
    import transformers  # noqa: PLC0415

    try:
        config = transformers.AutoConfig.from_pretrained(model, local_files_only=True)
        family = _FAMILIES.get(config.model_type)
        if family is None:
            raise RuleDataError(NAME, f"a {config.model_type} model is no guard that is read here")
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(
            model, local_files_only=True, use_safetensors=True, dtype="auto"
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise RuleDataError(NAME, f"cannot be loaded ({type(error).__name__})") from None
    if not tokenizer.chat_template:
        raise RuleDataError(NAME, "its tokenizer has no chat template: the prompt's format is in it")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device).eval()
    return ShieldGemma(network, tokenizer) if family == "shieldgemma" else LlamaGuard(network, tokenizer)


class ShieldGemma:
    """One forward pass for each guideline."""

    def __init__(self, network: Any, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: ANN401
        """Look up the two answers.

        Raises:
            RuleDataError: the tokenizer does not know them.
        """
        self._network = network
        self._tokenizer = tokenizer
        self._yes, self._no = _token(tokenizer, "Yes"), _token(tokenizer, "No")

    def judge(self, text: str) -> Mapping[Category, float]:
        """Return the share of "Yes" for each guideline."""
        return {category: self._share(text, guideline) for category, guideline in GUIDELINES.items()}

    def _share(self, text: str, guideline: str) -> float:
        import torch  # noqa: PLC0415

        inputs = _inputs(self._tokenizer, text, guideline=guideline).to(self._network.device)
        with torch.inference_mode():
            logits = self._network(input_ids=inputs).logits[0, -1]
        return _between(logits, self._yes, self._no)


class LlamaGuard:
    """One short answer for all hazards."""

    def __init__(self, network: Any, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: ANN401
        """Look up the two verdicts.

        Raises:
            RuleDataError: the tokenizer does not know them.
        """
        self._network = network
        self._tokenizer = tokenizer
        self._unsafe, self._safe = _token(tokenizer, "unsafe"), _token(tokenizer, "safe")

    def judge(self, text: str) -> Mapping[Category, float]:
        """Return the share of "unsafe" for each hazard that the answer names; none where it is "safe".

        Raises:
            RuleError: the answer is neither.
        """
        import torch  # noqa: PLC0415

        inputs = _inputs(self._tokenizer, text).to(self._network.device)
        with torch.inference_mode():
            output = self._network.generate(
                input_ids=inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=_ANSWER_TOKENS,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
            )
        tokens = output.sequences[0, inputs.shape[1] :].tolist()
        verdict = next((i for i, token in enumerate(tokens) if token in {self._safe, self._unsafe}), None)
        if verdict is None:
            raise RuleError(NAME, "answered neither safe nor unsafe")
        if tokens[verdict] == self._safe:
            return {}
        share = _between(output.logits[verdict][0], self._unsafe, self._safe)
        answer = self._tokenizer.decode(tokens[verdict:], skip_special_tokens=True)
        named = {HAZARDS[code] for code in _CODE.findall(str(answer)) if code in HAZARDS}
        return dict.fromkeys(named or {Category.ILLEGAL}, share)


def _inputs(tokenizer: PreTrainedTokenizerBase, text: str, **options: Any) -> torch.Tensor:  # noqa: ANN401
    """Return the (1, n) token ids of one user turn in the model's own format."""
    chat = [{"role": "user", "content": text}]
    found: Any = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True, **options
    )
    ids: torch.Tensor = found["input_ids"]
    return ids


def _token(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    """The first token of an answer."""
    ids = tokenizer.encode(word, add_special_tokens=False)
    if not ids or ids[0] == tokenizer.unk_token_id:
        raise RuleDataError(NAME, f"its tokenizer has no token for {word!r}")
    return int(ids[0])


def _between(logits: torch.Tensor, wanted: int, other: int) -> float:
    import torch  # noqa: PLC0415

    return float(torch.softmax(logits[[wanted, other]].float(), dim=0)[0])
