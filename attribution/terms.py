"""What Verso itself asks of everybody and does with their data: a part of every terms sheet.

A changed word changes the digest of every sheet, and so asks every person again: change it for good reasons.
"""

from __future__ import annotations

STANDING_TERMS = (
    "VERSO'S OWN TERMS\n"
    "Made by AI. A machine makes every image, and the image says so in its metadata and in a signed content "
    "credential. Do not remove these marks. Do not present an image as a record of something that happened.\n"
    "Only lawful use. You answer for what you ask for and for what you do with the images. A prompt or an "
    "image can be held for a moderator or refused; you are told why, and you can appeal.\n"
    "What is recorded. Verso keeps a ledger that nobody can change unnoticed: that you accepted these terms, "
    "what you asked for, which image came of it, what you chose and posted, and what moderators decided. The "
    "ledger itself shows a random pseudonym and digests only; your words and your account are kept encrypted "
    "under a key of your own.\n"
    "What others can learn. Whoever finds an image can ask who made it. How much the answer says depends on "
    "who asks, and each look-up is recorded. In a dispute the operator can open the record of an image.\n"
    "Your rights. You can read your record and take a copy of it. You can withdraw this acceptance; no "
    "further images are made for you then. You can have your data erased: your key is destroyed, and nothing "
    "in the ledger can be tied to you any more. A legal hold on a disputed image can delay an erasure; you "
    "are told so.\n"
    "No promise. Verso does not promise that an image is yours under the law of your country, that it "
    "resembles nothing else, or that the service is always there.\n"
)
