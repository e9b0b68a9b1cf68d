// The TypeScript client SDK's second version, in the era that the setting names.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { converse, setting } from "./scenario.mjs";

const isModern = setting.era === "modern";
const [command, ...args] = setting.server;
const transport = new StdioClientTransport({ command, args, env: setting.env, cwd: setting.cwd });
const mode = isModern ? { pin: "2026-07-28" } : "legacy";
const client = new Client({ name: "typescript-v2", version: "2" }, { versionNegotiation: { mode } });
await client.connect(transport);

await converse({
  client,
  version: () => client.getNegotiatedProtocolVersion(),
  call: (name, given, options) => client.callTool({ name, arguments: given }, options),
  async watch(uri, heard) {
    client.setNotificationHandler("notifications/resources/updated", ({ params }) => heard(params.uri));
    if (isModern) {
      const subscription = await client.listen({ resourceSubscriptions: [uri] });
      return () => subscription.close();
    }
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  },
});
