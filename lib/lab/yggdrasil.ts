/**
 * Yggdrasil: a mesh network whose addresses are made from keys. Here it has two nodes, joined by
 * TCP over IPv6, the quicker one of its ways; what passes is encrypted from node to node.
 */

import { type Lab, type LabHost, SERVER_ADDRESSES } from "./lab.ts";
import { accepts } from "./services.ts";
import { LabDaemon, type LabTunnel, must, type TunnelProgram } from "./tunnel.ts";

const DEVICE = "ygg0";
const PORT = 9001;

export const YGGDRASIL: TunnelProgram = {
  name: "yggdrasil",
  debianPackage: "yggdrasil",
  needs: [["yggdrasil", "yggdrasil"]],
  async start(lab: Lab): Promise<LabTunnel> {
    const link = `tcp://[${SERVER_ADDRESSES.ipv6}]:${PORT}`;
    const serverFile = await writeConfig(lab, lab.server, { Listen: [link] });
    const clientFile = await writeConfig(lab, lab.client, { Peers: [link] });
    const show = ["yggdrasil", "-useconffile", serverFile, "-address"];
    const address = (await must(lab.server, show)).trim();
    const server = new LabDaemon(lab, lab.server, ["yggdrasil", "-useconffile", serverFile]);
    // A client that finds nobody tries again only after a minute.
    await server.waitUntil(() => accepts(lab.client, SERVER_ADDRESSES.ipv6, PORT));
    const client = new LabDaemon(lab, lab.client, ["yggdrasil", "-useconffile", clientFile]);
    await client.waitForPath(address);
    return { address, device: DEVICE, client: client.pid, server: server.pid };
  },
};

/**
 * Writes what the program proposes, a new key in it, but neither a control socket nor neighbours
 * that it would look for itself. @returns The file.
 */
async function writeConfig(
  lab: Lab,
  host: LabHost,
  links: Readonly<Record<string, readonly string[]>>,
): Promise<string> {
  const proposed = JSON.parse(await must(host, ["yggdrasil", "-genconf", "-json"])) as object;
  const own = { AdminListen: "none", MulticastInterfaces: [], IfName: DEVICE };
  const file = `${lab.folder}/${host.name}.yggdrasil.conf`;
  const text = JSON.stringify({ ...proposed, ...own, ...links });
  await Deno.writeTextFile(file, text, { mode: 0o600 });
  return file;
}
