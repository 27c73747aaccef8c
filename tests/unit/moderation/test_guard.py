"""The guard rule with tiny models of the real architectures, taught one word, in the real formats."""

from __future__ import annotations

import pytest

from moderation.errors import PolicyError, RuleDataError, RuleError
from moderation.moderator import Moderator
from moderation.policy import Policy
from moderation.rules import open_rule
from moderation.rules.base import Context, Tools
from moderation.rules.guard import GUIDELINES, LlamaGuard, ShieldGemma, load_guard
from moderation.types import Action, Category, PromptContent, Scope

WORDS = [
    "<unk>", "<s>", "</s>", "user", "assistant", "Yes", "No", "safe", "unsafe", "S1", "S12", "a", "red",
    "boat", "zorble", "policy", ":", "?",
]  # fmt: skip
SHIELD_TEMPLATE = (
    "<s> policy : {{ guideline }} user : {{ messages[0]['content'] }} "
    "{% if add_generation_prompt %}?{% endif %}"
)
LLAMA_TEMPLATE = (
    "<s> user : {{ messages[0]['content'] }} {% if add_generation_prompt %}assistant :{% endif %}"
)


def a_tokenizer(template):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    tokenizer.chat_template = template
    return tokenizer


SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 256,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip


def taught(model, examples):
    """Teach a model to go on from each prompt with its answer."""
    import torch

    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        for prompt, answer in examples:
            ids = torch.tensor([prompt + answer])
            labels = torch.tensor([[-100] * len(prompt) + answer])
            model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    return model


def prompt_of(tokenizer, text, **options):
    chat = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, **options)[
        "input_ids"
    ]


@pytest.fixture(scope="module")
def shield(tmp_path_factory):
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    tokenizer = a_tokenizer(SHIELD_TEMPLATE)
    model = Gemma2ForCausalLM(
        Gemma2Config(**SIZES, head_dim=8, query_pre_attn_scalar=8, attn_implementation="eager")
    )
    examples = [
        (prompt_of(tokenizer, text, guideline=guideline), tokenizer.encode(answer, add_special_tokens=False))
        for text, answer in (("a zorble", "Yes"), ("a boat", "No"))
        for guideline in GUIDELINES.values()
    ]
    folder = tmp_path_factory.mktemp("shield")
    taught(model, examples).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = a_tokenizer(LLAMA_TEMPLATE)
    answers = {"a zorble": "unsafe S12 </s>", "a boat": "safe </s>", "red red": "red red </s>"}
    examples = [
        (prompt_of(tokenizer, text), tokenizer.encode(answer, add_special_tokens=False))
        for text, answer in answers.items()
    ]
    folder = tmp_path_factory.mktemp("llama")
    taught(LlamaForCausalLM(LlamaConfig(**SIZES)), examples).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_shieldgemma_answers_for_each_guideline(shield):
    guard = load_guard(str(shield))
    assert isinstance(guard, ShieldGemma)
    bad, calm = guard.judge("a zorble"), guard.judge("a boat")
    assert set(bad) == set(GUIDELINES)
    assert min(bad.values()) > 0.8
    assert max(calm.values()) < 0.2


def test_llama_guard_names_the_hazard(llama):
    guard = load_guard(str(llama))
    assert isinstance(guard, LlamaGuard)
    bad = guard.judge("a zorble")
    assert set(bad) == {Category.SEXUAL}
    assert bad[Category.SEXUAL] > 0.8
    assert guard.judge("a boat") == {}


def test_an_answer_in_no_format_is_an_error(llama):
    with pytest.raises(RuleError, match="neither"):
        load_guard(str(llama)).judge("red red")


def a_policy(folder, **more):
    lines = [f'model = "{folder}"', *(f"{key} = {value}" for key, value in more.items())]
    return Policy.parse('extends = "community"\n[rule.guard]\non = true\n' + "\n".join(lines))


def judged(rule, policy, text, monkeypatch, score):
    from moderation.rules import guard

    monkeypatch.setattr(guard, "head_scores", lambda *_: {Category.SEXUAL: score})
    return rule.check(PromptContent(text=text), Scope(), Context(policy))


@pytest.mark.parametrize(("score", "asked"), [(0.05, False), (0.4, True), (0.7, True), (0.95, False)])
def test_it_is_asked_in_the_uncertain_band_only(llama, monkeypatch, score, asked):
    rule = open_rule("guard", Tools())
    found = judged(rule, a_policy(llama), "a zorble", monkeypatch, score)
    assert bool(found) is asked
    if asked:
        assert found[0].category is Category.SEXUAL
        assert found[0].action is Action.HOLD


def test_a_share_below_the_threshold_does_nothing(shield, monkeypatch):
    rule = open_rule("guard", Tools())
    found = judged(rule, a_policy(shield), "a boat", monkeypatch, 0.4)
    assert found
    assert all(finding.action is Action.ALLOW for finding in found)


@pytest.mark.parametrize(
    "content", [{}, {"config.json": '{"model_type": "bert"}'}, {"config.json": "broken"}]
)
def test_what_is_no_guard_is_our_own_error(tmp_path, content):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(RuleDataError):
        load_guard(str(tmp_path))


def test_a_tokenizer_without_a_chat_template_is_refused(llama, tmp_path):
    import shutil

    shutil.copytree(llama, tmp_path / "copy")
    (tmp_path / "copy" / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(RuleDataError, match="chat template"):
        load_guard(str(tmp_path / "copy"))


async def test_it_is_off_unless_the_policy_says_so():
    moderator = Moderator.open(Policy.load(), rules=("lexicon", "guard"))
    try:
        verdict = await moderator.review(PromptContent(text="a boat"), Scope())
    finally:
        moderator.close()
    assert verdict.action is Action.ALLOW
    assert "guard" not in verdict.rule_ms


async def test_a_guard_that_cannot_be_loaded_holds_everything(tmp_path):
    moderator = Moderator.open(a_policy(tmp_path / "nowhere"), rules=("lexicon", "guard"))
    try:
        verdict = await moderator.review(PromptContent(text="a boat"), Scope())
    finally:
        moderator.close()
    assert verdict.action is Action.HOLD


def test_the_model_is_part_of_the_policys_version(tmp_path):
    assert a_policy(tmp_path / "a").version != a_policy(tmp_path / "b").version
    with pytest.raises(PolicyError, match="unknown key"):
        Policy.parse('extends = "community"\n[rule.blank]\nmodel = "x"\n')
