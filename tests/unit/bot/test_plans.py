"""Plans: who holds which, and what a wrong file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.conversation import Origin
from bot.errors import ConfigurationError
from bot.plans import Plan, Plans, channel_key

FILE = """
[plans.staff]
images_per_day = 1000
users = ["slack:T1/U9"]

[plans.supporter]
images_per_day = 500
jobs_in_flight = 6
weight = 2.0
roles = ["discord:1/77"]

[workspaces."discord:1"]
images_per_day = 5000
weight = 3.0

[channels."discord:1/42"]
images_per_day = 20
"""


def an_origin(**values: object) -> Origin:
    default = {"platform": "discord", "workspace_id": "discord:1", "event_id": "e", "user_id": "5"}
    return Origin(**{**default, **values})


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    (tmp_path / "plans.toml").write_text(FILE)
    return Plans.load(tmp_path / "plans.toml", default=Plan(images_per_day=7))


def test_a_role_or_a_name_gives_a_plan(plans: Plans) -> None:
    assert plans.of(an_origin()).images_per_day == 7
    held = plans.of(an_origin(roles=("12", "77")))
    assert (held.images_per_day, held.jobs_in_flight, held.weight) == (500, 6, 2.0)
    assert plans.of(an_origin(workspace_id="slack:T1", user_id="U9")).images_per_day == 1000


def test_a_role_counts_in_its_own_workspace_only(plans: Plans) -> None:
    assert plans.of(an_origin(workspace_id="discord:2", roles=("77",))).images_per_day == 7
    assert plans.of(an_origin(workspace_id="slack:T2", user_id="U9")).images_per_day == 7


def test_of_several_plans_the_first_in_the_file_counts(tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text(
        '[plans.a]\nweight = 2.0\nroles = ["discord:1/7"]\n[plans.b]\nweight = 5.0\nroles = ["discord:1/7"]\n'
    )
    plans = Plans.load(tmp_path / "plans.toml", default=Plan())
    assert plans.of(an_origin(roles=("7",))).weight == 2.0


def test_ceilings_of_channels_and_workspaces(plans: Plans) -> None:
    here = an_origin(channel_id="42")
    assert channel_key(here) == "discord:1/42"
    assert plans.channel(here).images_per_day == 20
    assert plans.workspace(here).images_per_day == 5000
    elsewhere = an_origin(workspace_id="discord:9")
    assert channel_key(elsewhere) == ""
    assert plans.channel(elsewhere).images_per_day is None
    assert plans.workspace(elsewhere).weight == 1.0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[default]\nweight = 0", "default.weight"),
        ("[default]\nweight = nan", "default.weight"),
        ("[plans.a]\nimage_per_day = 5", "plans.a.image_per_day"),
        ("[plans.a]\nimages_per_day = -1", "plans.a.images_per_day"),
        ("[plans.a]\njobs_in_flight = 0", "plans.a.jobs_in_flight"),
        ("[plans", "cannot be read"),
        ("\ud800", "cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "plans.toml"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigurationError, match=complaint):
        Plans.load(file, default=Plan())


def test_a_missing_file_is_no_silent_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Plans.load(tmp_path / "none.toml", default=Plan())


def test_without_a_file_everybody_has_the_default() -> None:
    assert Plans.load(None, default=Plan(images_per_day=3)).of(an_origin()).images_per_day == 3
