// Runs the emulated Slack. Arguments: the folder of the installed packages, the seed as JSON, the public URL.
// Prints the port as its first line; each line "reset" on standard input restores the seed and is answered "ok".
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [packages, seed, baseUrl] = process.argv.slice(2);
const { createEmulator } = await import(
  pathToFileURL(`${packages}/node_modules/emulate/dist/api.js`)
);
const net = await import("node:net");
const free = () =>
  new Promise((resolve) => {
    const probe = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
const port = await free();
const slack = await createEmulator({ service: "slack", port, seed: { slack: JSON.parse(seed) }, baseUrl });
console.log(port);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "reset") {
    slack.reset();
    console.log("ok");
  }
}
await slack.close();
process.exit(0);
