// What a client says to `grex serve`, whichever library it is made of: `adapter` has what differs between them.
//
//   client          the library's client, connected
//   call            (name, arguments, options) => result; options: `signal`, `onprogress`
//   watch           (uri, heard) => stop; calls `heard(uri)` when the resource has changed
//
// The one argument is a JSON object: the command line of the server and what it needs, and of a process that holds the
// workspace's lock. What was seen is printed as one line of JSON.

import { spawn } from "node:child_process";
import { appendFile } from "node:fs/promises";
import { createInterface } from "node:readline";

export const setting = JSON.parse(process.argv[2]);

// The process that holds the lock the call waits for.
async function lockHolder() {
  const [command, ...args] = setting.holder;
  const holder = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: setting.env, cwd: setting.cwd });
  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  holder.stdin.write("take\n");
  const { value } = await lines.next();
  if (value !== "held") throw new Error(`the lock could not be taken: ${value}`);
  return {
    pid: holder.pid,
    async end() {
      const ended = new Promise((resolve) => holder.once("exit", resolve));
      holder.stdin.end("quit\n");
      await ended;
    },
  };
}

function told(result) {
  return { is_error: result.isError === true, document: result.structuredContent, text: result.content[0].text };
}

// How many wait for a lock, of this server and of others.
async function waiters(client) {
  const { held, others } = JSON.parse((await client.readResource({ uri: "grex://locks" })).contents[0].text);
  return [...held, ...others].reduce((found, lock) => found + lock.queue.length + lock.blocked.length, 0);
}

async function cancelled(client, call) {
  const holder = await lockHolder();
  try {
    const controller = new AbortController();
    const waiting = await new Promise((resolve, reject) => {
      call("sync", {}, {
        signal: controller.signal,
        onprogress: ({ message }) => message?.startsWith("waiting for") && resolve(message),
      }).then((result) => reject(new Error(`it did not wait: ${JSON.stringify(result)}`)), reject);
      setTimeout(() => reject(new Error("it said nothing of a wait")), 20_000).unref();
    }).finally(() => controller.abort("not wanted any more"));
    const then = told(await call("path", { pack: "a" }));
    const until = performance.now() + 5000;
    let left;
    do left = await waiters(client);
    while (left > 0 && performance.now() < until);
    return { waiting, holder: holder.pid, then, left };
  } finally {
    await holder.end();
  }
}

async function changed(watch) {
  let stop;
  const uri = await new Promise((resolve, reject) => {
    watch(setting.uri, resolve).then(async (stopping) => {
      stop = stopping;
      await appendFile(setting.manifest, "# changed\n");
    }, reject);
    setTimeout(() => reject(new Error("no change was told")), 20_000).unref();
  });
  await stop();
  return uri;
}

export async function converse({ client, call, watch, version }) {
  // Both versions of the SDK handle an answer at once and a notification a moment later: progress that comes together
  // with the answer is too late for them, although it was sent before it. That it was is judged by what was recorded.
  const errors = [];
  client.onerror = (error) => /progress notification for an unknown token/.test(error) || errors.push(String(error));
  const seen = { version: version(), server: client.getServerVersion() };
  const { tools } = await client.listTools();
  seen.tools = tools.map((tool) => tool.name);
  seen.schemas = tools.filter((tool) => tool.inputSchema.type === "object" && tool.outputSchema?.type === "object").length;
  seen.drift = told(await call("status", { fail_on_drift: true }));
  seen.sync = told(await call("sync", {}, { onprogress() {} }));
  seen.status = told(await call("status", { fail_on_drift: true }));
  seen.exec = told(await call("exec", { command: ["cat", "file"] }));
  seen.graph = told(await call("graph", {}));
  seen.usage = told(await call("status", { packs: "a" }));
  seen.cancelled = await cancelled(client, call);
  seen.again = told(await call("sync", {}));
  seen.resources = (await client.listResources()).resources.map((resource) => resource.uri);
  seen.read = JSON.parse((await client.readResource({ uri: "grex://packs/a" })).contents[0].text);
  seen.changed = await changed(watch);
  const closing = performance.now();
  await client.close();
  seen.closed_s = (performance.now() - closing) / 1000;
  seen.errors = errors;
  process.stdout.write(JSON.stringify(seen) + "\n");
}
