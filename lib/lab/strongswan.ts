/**
 * strongSwan with ESP in its own process (the plugin kernel-libipsec): IKEv2 with a pre-shared key,
 * ESP with AES-128-GCM in tunnel mode, in UDP, as that plugin always does.
 */

import { CLIENT_ADDRESSES, type Lab, type LabHost, SERVER_ADDRESSES } from "./lab.ts";
import { LabDaemon, type LabTunnel, must, type TunnelProgram } from "./tunnel.ts";

const CHARON = "/usr/lib/ipsec/charon";
const LIBIPSEC = "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so";
const OPENSSL = "/usr/lib/ipsec/plugins/libstrongswan-openssl.so";

/** What the plugin calls its device. */
const DEVICE = "ipsec0";

interface End {
  readonly host: LabHost;
  /** Outside and inside. */
  readonly address: string;
  readonly inside: string;
  /** Its files. */
  readonly folder: string;
}

export const STRONGSWAN: TunnelProgram = {
  name: "strongSwan",
  debianPackage: "strongswan-charon",
  needs: [
    [CHARON, "strongswan-charon"],
    ["swanctl", "strongswan-swanctl"],
    [LIBIPSEC, "libcharon-extra-plugins"],
    [OPENSSL, "libstrongswan-standard-plugins"],
  ],
  async start(lab: Lab): Promise<LabTunnel> {
    const client = await makeEnd(lab, lab.client, CLIENT_ADDRESSES.ipv6, "fd98::1");
    const server = await makeEnd(lab, lab.server, SERVER_ADDRESSES.ipv6, "fd98::2");
    const secret = crypto.randomUUID();
    const serverDaemon = await startEnd(lab, server, client, secret);
    const clientDaemon = await startEnd(lab, client, server, secret);
    await swanctl(client, clientDaemon, ["--initiate", "--child", "lab"]);
    const address = server.inside;
    await clientDaemon.waitForPath(address);
    return { address, device: DEVICE, client: clientDaemon.pid, server: serverDaemon.pid };
  },
};

async function makeEnd(lab: Lab, host: LabHost, address: string, inside: string): Promise<End> {
  const folder = `${lab.folder}/${host.name}.strongswan`;
  await Deno.mkdir(folder, { mode: 0o700 });
  return { host, address, inside, folder };
}

async function startEnd(lab: Lab, own: End, peer: End, secret: string): Promise<LabDaemon> {
  const { host, inside, folder } = own;
  const connections = `${folder}/swanctl.conf`;
  await Deno.writeTextFile(`${folder}/strongswan.conf`, daemonConfig(own));
  await Deno.writeTextFile(connections, connectionConfig(own, peer, secret), { mode: 0o600 });
  await must(host, ["ip", "address", "add", `${inside}/128`, "dev", "lo", "nodad"]);
  const daemon = new LabDaemon(lab, host, [CHARON], environment(own));
  await daemon.waitUntil(() => swanctl(own, daemon, ["--load-creds", "--file", connections]));
  await swanctl(own, daemon, ["--load-conns", "--file", connections]);
  return daemon;
}

/** @returns Whether it succeeded. */
async function swanctl(end: End, daemon: LabDaemon, words: readonly string[]): Promise<boolean> {
  const command = ["swanctl", ...words, "--uri", controlSocket(end)];
  return (await daemon.run(command, { env: environment(end) })).code === 0;
}

function controlSocket({ folder }: End): string {
  return `unix://${folder}/charon.vici`;
}

/** Without these both programs would read the machine's settings and keys. */
function environment({ folder }: End): Record<string, string> {
  return { STRONGSWAN_CONF: `${folder}/strongswan.conf`, SWANCTL_DIR: folder };
}

/** kernel-libipsec stands before kernel-netlink, which then does routes and addresses alone. */
function daemonConfig(end: End): string {
  return `charon {
  load = random nonce openssl kdf kernel-libipsec kernel-netlink socket-default vici
  plugins {
    vici {
      socket = ${controlSocket(end)}
    }
  }
  filelog {
    stderr {
      default = 1
    }
  }
}
swanctl {
  load = random openssl
}
`;
}

function connectionConfig(own: End, peer: End, secret: string): string {
  return `connections {
  lab {
    version = 2
    local_addrs = ${own.address}
    remote_addrs = ${peer.address}
    proposals = aes128gcm16-prfsha256-ecp256
    local {
      auth = psk
      id = ${own.host.name}
    }
    remote {
      auth = psk
      id = ${peer.host.name}
    }
    children {
      lab {
        local_ts = ${own.inside}/128
        remote_ts = ${peer.inside}/128
        esp_proposals = aes128gcm16
      }
    }
  }
}
secrets {
  ike {
    secret = "${secret}"
  }
}
`;
}
