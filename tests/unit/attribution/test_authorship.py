"""The authorship statement: who did what, from recorded steps alone."""

from __future__ import annotations

from collections.abc import Mapping

from attribution.authorship import NO_LAW, Act, details, statement
from attribution.record import EventKind

OWNER, STRANGER = "a" * 32, "b" * 32


def an_act(
    place: int,
    kind: EventKind,
    *,
    subject: str = OWNER,
    public: Mapping[str, str | int] | None = None,
    fields: Mapping[str, str] | None = None,
) -> Act:
    return Act(
        leaf_index=place,
        at_ms=1000 + place,
        kind=kind,
        subject=subject,
        public=public or {},
        fields=fields or {},
    )


def test_people_and_machines_are_told_apart_in_the_order_of_the_ledger() -> None:
    told = statement(
        [
            an_act(5, EventKind.CANDIDATE_CHOSEN, public={"image_id": "i1", "step": "vary"}),
            an_act(1, EventKind.PROMPT_SUBMITTED, fields={"prompt": "a red apple"}),
            an_act(2, EventKind.JOB_ACCEPTED, fields={"prompt": "a red apple", "seed": "7"}),
            an_act(3, EventKind.IMAGE_RELEASED, public={"image_id": "i1"}),
            an_act(4, EventKind.CANDIDATE_SHOWN, public={"image_id": "i1", "place": 2, "of": 4}),
            an_act(6, EventKind.EDIT_APPLIED, fields={"mask_sha256": "cd" * 32}),
        ],
        owner=OWNER,
    )
    assert [(one.leaf_index, one.by) for one in told.contributions] == [
        (1, "human"),
        (2, "machine"),
        (3, "machine"),
        (4, "machine"),
        (5, "human"),
        (6, "human"),
    ]
    words = {one.leaf_index: one.details for one in told.contributions}
    assert words[1] == 'prompt: "a red apple"'
    assert words[2] == "seed: 7"  # the words stand where a person wrote them, not with the machine
    assert words[4] == "candidate 2 of 4; image i1"
    assert words[5] == "step: vary; image i1"
    assert "mask sha256" in words[6]


def test_words_that_a_step_takes_over_are_not_written_twice() -> None:
    apple, pear = {"prompt": "an apple", "negative_prompt": "text"}, {"prompt": "a pear"}
    told = statement(
        [
            an_act(
                1, EventKind.PROMPT_SUBMITTED, public={"job_id": "j1"}, fields=apple | {"chosen": "seed 7"}
            ),
            an_act(2, EventKind.PROMPT_SUBMITTED, public={"job_id": "j2"}, fields=apple),
            an_act(3, EventKind.CANDIDATE_CHOSEN, public={"job_id": "j2", "step": "upscale"}),
            an_act(4, EventKind.JOB_ACCEPTED, public={"job_id": "j2", "step": "upscale"}),
            an_act(5, EventKind.PROMPT_SUBMITTED, public={"job_id": "j3"}, fields=pear),
            an_act(6, EventKind.JOB_ACCEPTED, public={"job_id": "j3", "step": "remix"}),
            an_act(7, EventKind.PROMPT_SUBMITTED, public={"job_id": "j4"}, fields=apple),  # asked anew
            an_act(8, EventKind.PROMPT_SUBMITTED, public={"job_id": "j3"}, subject=STRANGER),
        ],
        owner=OWNER,
    )
    human = {one.leaf_index: (one.act, one.details) for one in told.of("human")}
    assert list(human) == [1, 3, 5, 7, 8]
    assert human[1] == ("wrote a prompt", 'prompt: "an apple"; negative prompt: "text"; chosen: seed 7')
    assert human[3][0] == "chose an image to enlarge"


def test_pictures_and_places_are_told_in_words() -> None:
    fields = {"source": "ab" * 32, "mask": "cd" * 32, "seed": "7"}
    accepted = an_act(1, EventKind.JOB_ACCEPTED, fields=fields)
    assert details(accepted) == "drew only where a mask says; seed: 7; started from a picture"
    posted = {"reference": '{"channel": "12", "message": "34", "files": ["/a", "/b"], "astray": false}'}
    assert details(an_act(2, EventKind.POSTED, fields=posted)) == "channel: 12; message: 34"
    assert details(an_act(2, EventKind.POSTED, fields={"reference": "no json"})) == "no json"
    assert details(an_act(2, EventKind.POSTED, fields={"reference": "[1]"})) == ""


def test_what_the_house_and_moderators_do_is_nobodys_contribution() -> None:
    kinds = (EventKind.POSTED, EventKind.APPEAL_DECIDED, EventKind.TERMS_ACCEPTED, EventKind.LOOKED_UP)
    told = statement([an_act(i, kind) for i, kind in enumerate(kinds)], owner=OWNER)
    assert told.contributions == ()
    assert told.summary == "0 recorded acts of people, 0 of the machine."


def test_another_persons_step_is_named_as_such() -> None:
    told = statement([an_act(1, EventKind.PROMPT_SUBMITTED, subject=STRANGER)], owner=OWNER)
    assert told.contributions[0].act == "another person wrote a prompt"
    assert told.contributions[0].details == ""


def test_the_statement_says_what_it_does_not_decide() -> None:
    value = statement([], owner=OWNER).to_json()
    assert value["decides_no_law"] == NO_LAW
    assert "no question of law" in NO_LAW
