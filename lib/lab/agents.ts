/**
 * Two agents in a lab, ready to be used: identities made, DNS zone written, both up. The demo, the
 * benchmarks and the system tests all start from here.
 */

import { UserError } from "../base/errors.ts";
import type { IdentityKind } from "../identity/host_identity.ts";
import { generateHostIdentity } from "../identity/host_identity.ts";
import { hostIdentityToDnsKey } from "../identity/hit.ts";
import type { PrivateHostIdentity } from "../crypto/host_key.ts";
import { ApiClient } from "../runtime/api_client.ts";
import { IdentityStore } from "../runtime/identity_store.ts";
import { statePaths } from "../runtime/state_paths.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import { HIP } from "../wire/dns/hip.ts";
import { encodeRdata } from "../wire/dns/record.ts";
import {
  CLIENT_ADDRESSES,
  type Lab,
  type LabAddresses,
  type LabFamilies,
  type LabHost,
  runCommand,
  SERVER_ADDRESSES,
} from "./lab.ts";
import { type LabDns, startDns, waitFor } from "./services.ts";

/** The name under which the server can be found. */
export const SERVER_NAME = "www.hip.test";

/** An agent in one host of the lab. */
export interface LabAgent {
  readonly host: LabHost;
  readonly identity: PrivateHostIdentity;
  readonly stateFolder: string;
  readonly socketFile: string;
  readonly process: Deno.ChildProcess;
  /** From its start to ready, milliseconds. */
  readonly startUpMs: number;
}

/** Makes an identity and its folder. */
export function prepareIdentity(
  lab: Lab,
  name: string,
  kind: IdentityKind,
): { stateFolder: string; identity: PrivateHostIdentity } {
  const stateFolder = `${lab.folder}/${name}`;
  const identity = generateHostIdentity(kind, SYSTEM_RANDOM);
  new IdentityStore(statePaths(stateFolder).identityFolder).add(name, identity, false);
  return { stateFolder, identity };
}

/** RDATA of the HIP record that publishes an identity (RFC 8005 §5). */
export function hipRdata(identity: PrivateHostIdentity): Uint8Array {
  const dnsKey = hostIdentityToDnsKey(identity);
  if (dnsKey === undefined) throw new UserError("DNS has no form for this kind of key. Use RSA.");
  return encodeRdata(HIP, {
    pkAlgorithm: dnsKey.pkAlgorithm,
    hit: identity.hit,
    publicKey: dnsKey.key,
    rendezvousNames: [],
  });
}

/** Starts an agent and waits until it is ready. */
export async function startLabAgent(
  lab: Lab,
  host: LabHost,
  self: readonly string[],
  prepared: { stateFolder: string; identity: PrivateHostIdentity },
  settings: readonly string[],
): Promise<LabAgent> {
  const { stateFolder, identity } = prepared;
  const { socketFile } = statePaths(stateFolder);
  const startedAt = performance.now();
  const child = host.spawn([
    ...self,
    ...["--state", stateFolder, "up", "--foreground"],
    ...settings.flatMap((setting) => ["--option", setting]),
  ], { stderr: "piped" });
  const complaint = keepLog(child, `${lab.folder}/${host.name}.log`);
  let isOver = false;
  child.status.then(() => isOver = true);
  await waitFor(`the agent of the ${host.name}`, async () => {
    lab.signal?.throwIfAborted();
    if (isOver) throw new UserError(`the agent of the ${host.name} ended: ${await complaint()}`);
    return await isReady(socketFile);
  }, 20);
  const startUpMs = performance.now() - startedAt;
  return { host, identity, stateFolder, socketFile, process: child, startUpMs };
}

async function isReady(socketFile: string): Promise<boolean> {
  try {
    await ApiClient.ask(socketFile, "wait", { timeoutMs: 0 });
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** Keeps standard error in a file. @returns How to get its last line. */
function keepLog(child: Deno.ChildProcess, path: string): () => Promise<string> {
  const done = (async () => {
    const file = await Deno.open(path, { write: true, create: true, append: true });
    await child.stderr.pipeTo(file.writable).catch(() => {});
  })();
  return async () => {
    await done;
    const text = await Deno.readTextFile(path);
    return (text.trim().split("\n").pop() ?? "").replace(/^hip up: /, "");
  };
}

/** DNS in the router, with the server's HIP record in the zone. */
export function startLabDns(
  lab: Lab,
  self: readonly string[],
  serverIdentity: PrivateHostIdentity,
  families: LabFamilies,
): Promise<LabDns> {
  const gateways = (addresses: LabAddresses) => [
    ...(families === "ipv4" ? [] : [addresses.gatewayIpv6]),
    ...(families === "ipv6" ? [] : [addresses.gatewayIpv4]),
  ];
  const listen = [...gateways(CLIENT_ADDRESSES), ...gateways(SERVER_ADDRESSES)];
  const { ipv4, ipv6 } = SERVER_ADDRESSES;
  const entry = {
    label: SERVER_NAME.split(".")[0]!,
    hip: hipRdata(serverIdentity),
    ...(families === "ipv4" ? {} : { ipv6 }),
    ...(families === "ipv6" ? {} : { ipv4 }),
  };
  return startDns(lab.router, `${lab.folder}/dns`, listen, [entry], self);
}

/** Asks an agent to end and waits for it; it closes its associations and restores its host. */
export async function stopLabAgent(agent: LabAgent, self: readonly string[]): Promise<void> {
  await runCommand([...self, "--state", agent.stateFolder, "down"], { timeoutMs: 10_000 });
  await agent.process.status;
}
