/** WireGuard in user space: wireguard-go, in the usual way, IPv6 in UDP over IPv6. */

import { CLIENT_ADDRESSES, type Lab, type LabHost, SERVER_ADDRESSES } from "./lab.ts";
import { LabDaemon, type LabTunnel, must, type TunnelProgram } from "./tunnel.ts";

const DEVICE = "wg0";
const PORT = 51820;

interface End {
  readonly host: LabHost;
  /** Outside and inside. */
  readonly address: string;
  readonly inside: string;
  readonly privateKey: string;
  readonly publicKey: string;
}

export const WIREGUARD_GO: TunnelProgram = {
  name: "wireguard-go",
  debianPackage: "wireguard-go",
  needs: [["wireguard-go", "wireguard-go"], ["wg", "wireguard-tools"]],
  async start(lab: Lab): Promise<LabTunnel> {
    const client = await makeEnd(lab.client, CLIENT_ADDRESSES.ipv6, "fd97::1");
    const server = await makeEnd(lab.server, SERVER_ADDRESSES.ipv6, "fd97::2");
    const serverDaemon = await startEnd(lab, server, client);
    const clientDaemon = await startEnd(lab, client, server);
    const address = server.inside;
    await clientDaemon.waitForPath(address);
    return { address, device: DEVICE, client: clientDaemon.pid, server: serverDaemon.pid };
  },
};

async function makeEnd(host: LabHost, address: string, inside: string): Promise<End> {
  const script = `key=$(wg genkey) && echo "$key" && echo "$key" | wg pubkey`;
  const [privateKey = "", publicKey = ""] = (await must(host, ["sh", "-c", script])).split("\n");
  return { host, address, inside, privateKey, publicKey };
}

async function startEnd(lab: Lab, own: End, peer: End): Promise<LabDaemon> {
  const { host, inside } = own;
  const file = `${lab.folder}/${host.name}.wireguard.conf`;
  await Deno.writeTextFile(file, wireguardConfig(own, peer), { mode: 0o600 });
  const daemon = new LabDaemon(lab, host, ["wireguard-go", "--foreground", DEVICE]);
  const configure = ["wg", "setconf", DEVICE, file];
  await daemon.waitUntil(async () => (await daemon.run(configure)).code === 0);
  await must(host, ["ip", "address", "add", `${inside}/64`, "dev", DEVICE, "nodad"]);
  await must(host, ["ip", "link", "set", DEVICE, "up"]);
  return daemon;
}

function wireguardConfig({ privateKey }: End, peer: End): string {
  return `[Interface]
PrivateKey = ${privateKey}
ListenPort = ${PORT}
[Peer]
PublicKey = ${peer.publicKey}
AllowedIPs = ${peer.inside}/128
Endpoint = [${peer.address}]:${PORT}
`;
}
