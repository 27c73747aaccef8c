"""The sentences of the report: what is asserted, how it is proved, how it is checked."""

from __future__ import annotations

INTRODUCTION = """
This report explains the accompanying files. They, and not this report, are the evidence: each is named with
its digest in index.json, which the operator signed. All times are those of the operator's clock, in UTC.
"""
ASSERTED = (
    (
        "The account named above asked this operator's service for an image, with the words and choices that "
        "sections 3 and 4 list."
    ),
    (
        "The file image.png is, byte for byte, what the service made for that request and released to that "
        "account; section 2 shows it."
    ),
    "Before that, the same account accepted the terms that section 6 repeats in full.",
    (
        "Each of these facts was entered into the operator's ledger in the order shown, and none was "
        "altered, moved or taken out since the checkpoint that the user received with the image."
    ),
)
NOT_ASSERTED = (
    "Which person used the account: an account is not a person.",
    "That there are no other copies, or that nobody else made the same picture.",
    "Anything about the law: whether the image is protected, who owns it, whether it infringes.",
    "Section 10 lists the limits of this evidence in full.",
)
NO_REFERENCES = "The image names no picture that it was made from."
ORDER = """
Each line is one entry of the ledger. The number is its place: entries are only ever added at the end, and
none can be changed, moved or taken out without breaking the proofs in this bundle. Where candidates have a
rank, the service ordered them by its own measure of how well a picture fits the words (similarity).
"""
ON_THE_WAY = """
The images of these entries, as they were released, oldest first; the files lie in this bundle (sources.json).
Images that were taken back or closed off are left out.
"""
PARAMETERS = """
What the person set besides the words is named with them ("chosen"); the machine's side names all parameters
in force, of which the service filled in the others. Words that a further step took over unchanged count once.
"""
TERMS = """
On {accepted}, with entry {acceptance} of the ledger, the account accepted the text below (terms.txt, SHA-256
{digest}). The image is entry {leaf_index}: it came after. The text is repeated in full.
"""
PROOF = """
The operator keeps a ledger of numbered entries. At the time of this report it had {tree_size} entries; the
record of this image is number {leaf_index}. All entries together have one fingerprint (the root hash),
{root_hash}, which the operator signed (checkpoint.txt). The proof in proof.json leads from the record to that
fingerprint: it could not do so if the record had been altered, or added later than the checkpoint.

consistency.json proves that the ledger of this report is the one whose checkpoint the user received with the
image, with entries only added. Anybody who kept that receipt, or a published checkpoint, can compare.

The record holds no personal data in the clear, but commitments: fingerprints of each fact mixed with a random
number. commitments.json opens them. A fact that had been changed would not fit.

The image carries Content Credentials (C2PA): a signature over its own bytes, which names the record. If any
pixel or byte had been changed afterwards, that signature would not hold.
"""
CHECK = """
Run <b>python verify.py BUNDLE.zip --trust KEYFILE</b> with the script of this bundle, or better with one that
you have from elsewhere. It needs Python 3.9 and the package cryptography, connects to nothing, and fails if a
single byte of any file was altered. KEYFILE holds the operator's public key, which must come from a source
other than this bundle; compare it with the one under "Parties" above. The script goes through these steps,
prints "ok" or "FAIL" with the reason beside each, and exits with 0 only if all of them hold:
"""
REPLAY = """
With the operator's program and model, <b>verso evidence --replay BUNDLE.zip</b> draws the image once more
from the recorded words and parameters and compares the pixels. Equal pixels show that the recorded request
makes this image; a difference on another kind of machine shows nothing. Where profile.json says "replayable":
false, an image server drew the image, a program of its own: it cannot be drawn again.
"""
MATCH = """
Another picture was found and led to this record. A likeness is a lead and no proof: only the exact file, or a
file whose content credentials hold, is certain. match.json says how it was found:
"""
