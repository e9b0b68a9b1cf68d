// The TypeScript SDK before its second version, which knows the handshake only.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

import { converse, setting } from "./scenario.mjs";

const [command, ...args] = setting.server;
const transport = new StdioClientTransport({ command, args, env: setting.env, cwd: setting.cwd });
const client = new Client({ name: "typescript-v1", version: "1" });
let negotiated;
transport.setProtocolVersion = (version) => (negotiated = version);
await client.connect(transport);

await converse({
  client,
  version: () => negotiated,
  call: (name, given, options) => client.callTool({ name, arguments: given }, undefined, options),
  async watch(uri, heard) {
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => heard(params.uri));
    await client.subscribeResource({ uri });
    return () => client.unsubscribeResource({ uri });
  },
});
