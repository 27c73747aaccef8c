// Checks tests/vectors/receipt-v1.json by docs/leaf-format.md alone, with Node's own cryptography and none of Verso.
// Usage: node verify-receipt.js receipt-v1.json ; prints {"ok": true} or names the first step that fails.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");

const sha256 = (...parts) => crypto.createHash("sha256").update(Buffer.concat(parts)).digest();
const step = (name, holds) => {
  if (!holds) {
    console.log(JSON.stringify({ ok: false, step: name }));
    process.exit(1);
  }
};

const vector = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const { receipt, opening } = vector;

// 1. the note
const first = vector.verifier_key.indexOf("+");
const name = vector.verifier_key.slice(0, first);
const hash = vector.verifier_key.slice(first + 1, first + 9);
const key = Buffer.from(vector.verifier_key.slice(first + 10), "base64");
const keyHash = sha256(Buffer.from(name + "\n"), key).subarray(0, 4);
step("key hash", keyHash.toString("hex") === hash && key[0] === 1 && key.length === 33);
const end = receipt.checkpoint.lastIndexOf("\n\n");
const text = receipt.checkpoint.slice(0, end + 1);
const [dash, signer, encoded] = receipt.checkpoint.slice(end + 2, -1).split(" ");
const signature = Buffer.from(encoded, "base64");
step("signer", dash === "\u2014" && signer === name && signature.subarray(0, 4).equals(keyHash));
const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key.subarray(1)]);
const publicKey = crypto.createPublicKey({ key: spki, format: "der", type: "spki" });
step("signature", crypto.verify(null, Buffer.from(text), publicKey, signature.subarray(4)));

// 2. the head
const [origin, size, root] = text.split("\n");
step("origin", origin === name);
step("size", Number(size) === receipt.tree_size);
step("root", Buffer.from(root, "base64").toString("hex") === receipt.root_hash);

// 3. the proof: RFC 9162 section 2.1.3.2
const leaf = Buffer.from(receipt.leaf, "base64");
let current = sha256(Buffer.from([0]), leaf);
let position = receipt.leaf_index;
let last = receipt.tree_size - 1;
for (const sibling of receipt.inclusion_proof.map((node) => Buffer.from(node, "hex"))) {
  step("proof length", last > 0);
  if (position % 2 === 1 || position === last) {
    current = sha256(Buffer.from([1]), sibling, current);
    while (position % 2 === 0 && position > 0) {
      position >>= 1;
      last >>= 1;
    }
  } else {
    current = sha256(Buffer.from([1]), current, sibling);
  }
  position >>= 1;
  last >>= 1;
}
step("inclusion", last === 0 && current.toString("hex") === receipt.root_hash);

// 4. the leaf
const entry = JSON.parse(leaf.toString("utf8"));
step("entry id", entry.version === 1 && entry.id === receipt.entry_id);

// 5. the opening
for (const [field, value] of Object.entries(opening.fields)) {
  const nonce = Buffer.from(opening.nonces[field], "hex");
  const message = Buffer.concat([Buffer.from(field), Buffer.from([0]), Buffer.from(value, "utf8")]);
  const mac = crypto.createHmac("sha256", nonce).update(message).digest("hex");
  step("commitment of " + field, nonce.length === 32 && entry.commitments[field] === mac);
}
console.log(JSON.stringify({ ok: true }));
