// Checks interop-v1.json with the Merkle and checkpoint code of npm's @sigstore/verify, and none of Verso.
// Usage: node verify_interop.js NODE_MODULES interop-v1.json ; prints what was accepted and refused, fails otherwise.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const folder = path.resolve(process.argv[2], "@sigstore/verify/dist/tlog");
const { verifyMerkleInclusion } = require(path.join(folder, "merkle.js"));
const { verifyCheckpoint } = require(path.join(folder, "checkpoint.js"));
const vector = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

const refused = (action) => {
  try {
    action();
  } catch (error) {
    return error.code === "TLOG_INCLUSION_PROOF_ERROR";
  }
  return false;
};
const expect = (holds, what) => {
  if (!holds) throw new Error(what);
};
const flipped = (data, place) => {
  const altered = Buffer.from(data);
  altered[place] ^= 1;
  return altered;
};

// A verifier key as the package knows a log: the key hint is the beginning of its id.
const logs = vector.verifier_keys.map((text) => {
  const [name, hint] = text.split("+");
  const key = Buffer.from(text.slice(name.length + hint.length + 2), "base64").subarray(1);
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
  return {
    logID: Buffer.from(hint, "hex"),
    baseURL: name,
    publicKey: crypto.createPublicKey({ key: der, format: "der", type: "spki" }),
  };
});
const counts = { checkpoints: { accepted: 0, refused: 0 }, inclusion: { accepted: 0, refused: 0 } };
const heads = new Map();
for (const head of vector.checkpoints) {
  const entry = (note) => ({ inclusionProof: { checkpoint: { envelope: note } } });
  logs.forEach((log, number) => {
    const open = (note) => verifyCheckpoint(entry(note), [log]);
    if (!head.signed_by.includes(number)) {
      expect(refused(() => open(head.note)), `key ${number} did not sign the head of ${head.tree_size}`);
      counts.checkpoints.refused += 1;
      return;
    }
    const opened = open(head.note);
    expect(opened.logSize === BigInt(head.tree_size), "the size");
    expect(opened.logHash.toString("hex") === head.root_hash, "the root");
    heads.set(head.tree_size, opened);
    counts.checkpoints.accepted += 1;
    const altered = head.note.replace(`\n${head.tree_size}\n`, `\n${head.tree_size}0\n`);
    expect(refused(() => open(altered)), "an altered note");
    counts.checkpoints.refused += 1;
  });
}
for (const { leaf_index, tree_size, proof } of vector.inclusion) {
  const hashes = proof.map((hash) => Buffer.from(hash, "hex"));
  const leaf = Buffer.from(vector.leaves[leaf_index], "base64");
  const check = (body, path_) =>
    verifyMerkleInclusion(
      { canonicalizedBody: body, inclusionProof: { logIndex: String(leaf_index), hashes: path_ } },
      heads.get(tree_size),
    );
  check(leaf, hashes);
  counts.inclusion.accepted += 1;
  expect(refused(() => check(flipped(leaf, leaf.length >> 1), hashes)), "an altered leaf");
  counts.inclusion.refused += 1;
  hashes.forEach((hash, place) => {
    const altered = hashes.map((one, at) => (at === place ? flipped(hash, place) : one));
    expect(refused(() => check(leaf, altered)), "an altered proof");
    counts.inclusion.refused += 1;
  });
}
console.log(JSON.stringify(counts));
