/** `hip dns`: this host's HIP records in its zone, by a signed dynamic update; the proxy's cache. */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import type { TsigKey } from "../dns/tsig.ts";
import { parseTsigKey } from "../dns/tsig_key_file.ts";
import { ApiClient } from "../runtime/api_client.ts";
import { systemProblem } from "../runtime/atomic_file.ts";
import { findTarget, sendUpdate } from "../runtime/dns_update.ts";
import { resolverPathsOf } from "../runtime/repair.ts";
import { ResolverConfigurator } from "../runtime/resolver_configurator.ts";
import { SILENT } from "../base/logger.ts";
import { TYPE } from "../wire/dns/code_points.ts";
import { HIP } from "../wire/dns/hip.ts";
import { formatHostName, parseName } from "../wire/dns/name.ts";
import { encodeRdata } from "../wire/dns/record.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import {
  domainName,
  gatherNames,
  hipRecordOf,
  pick,
  publicIdentities,
  storeOf,
} from "./identity.ts";

const DEFAULT_TTL_SECONDS = 3600;
const MAX_TTL_SECONDS = 2 ** 31 - 1;

interface UpdateOptions {
  readonly as?: string;
  readonly keyFile: string;
  readonly server?: string;
  readonly zone?: string;
  readonly ttl: number;
  readonly rvs: readonly string[];
  readonly all?: true;
  readonly remove?: true;
}

export function registerDns(program: Command, context: CliContext): void {
  const dns = program.command("dns")
    .description("publish this host in DNS, and empty the cache of the proxy")
    .addHelpText("after", example("sudo hip dns update --as www.example.org --key-file k.key"));
  dns.command("update")
    .description("replace the HIP records of this host in its zone (RFC 2136, TSIG)")
    .argument("[identity]", "which one; the default one if left out")
    .requiredOption("--key-file <file>", "the TSIG key, as tsig-keygen or keymgr -t wrote it")
    .option("--as <domain>", "domain name of this host")
    .option("--all", "publish every identity that is not anonymous")
    .option("--remove", "publish none: remove the records")
    .option("--rvs <name>", "a rendezvous server of this host", gatherNames, [])
    .option("--ttl <seconds>", "how long others may keep the records", ttl, DEFAULT_TTL_SECONDS)
    .option("--server <address[@port]>", "primary server; the one in the zone's SOA if left out")
    .option("--zone <domain>", "the zone; asked for if left out")
    .addHelpText(
      "after",
      example(
        "sudo hip dns update --as www.example.org --key-file /etc/hip/example.key",
        "sudo hip dns update --as www.example.org --key-file k.key --remove",
      ),
    )
    .action(async (name: string | undefined, options: UpdateOptions, command: Command) => {
      context.output.print(await update(name, options, command, context));
    });
  dns.command("flush")
    .description("have the proxy forget what DNS servers have said")
    .addHelpText("after", example("sudo hip dns flush"))
    .action(async (_options: unknown, command: Command) => {
      await ApiClient.ask(pathsOf(command, context).socketFile, "flush");
      context.output.print("The DNS cache is empty.");
    });
}

/** Does it; the sentence to print. */
async function update(
  identity: string | undefined,
  options: UpdateOptions,
  command: Command,
  context: CliContext,
): Promise<string> {
  const key = readKey(options.keyFile);
  const owner = parseName(domainName(options.as));
  const identities = options.remove
    ? []
    : options.all
    ? publicIdentities(command, context)
    : [pick(storeOf(command, context), identity)];
  const rendezvousNames = options.rvs.map((text) => parseName(text));
  const records = identities.map((stored) => ({
    ttlSeconds: options.ttl,
    rdata: encodeRdata(HIP, hipRecordOf(stored, rendezvousNames)),
  }));
  const files = new ResolverConfigurator(resolverPathsOf(pathsOf(command, context)), SILENT);
  const target = await findTarget(owner, {
    server: options.server === undefined ? undefined : serverOf(options.server),
    zone: options.zone === undefined ? undefined : parseName(domainName(options.zone)),
    resolvers: files.inspect([]).upstreams,
  });
  await sendUpdate(target, owner, TYPE.HIP, records, key);
  const where = `in the zone ${formatHostName(target.zone)} on ${target.server.address}`;
  const what = formatHostName(owner);
  if (records.length === 0) return `${what} has no HIP record any more ${where}.`;
  const names = identities.map(({ name }) => `"${name}"`).join(" and ");
  return `${what} has the HIP ${records.length === 1 ? "record" : "records"} of ${names} ${where}.`;
}

/** @throws {UserError} Without quoting the file. */
function readKey(path: string): TsigKey {
  let text: string;
  try {
    if (((Deno.statSync(path).mode ?? 0) & 0o004) !== 0) {
      throw new UserError(
        `everybody may read the key file ${path}. Close it with: chmod o-rwx ${path}`,
      );
    }
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot read the key file ${path} (${systemProblem(error)}).`);
  }
  try {
    return parseTsigKey(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UserError(`cannot use the key file ${path}: ${error.message}.`);
  }
}

function serverOf(text: string): { address: string; port: number } {
  const [address = "", port = "53", ...rest] = text.split("@");
  const number = /^\d{1,5}$/.test(port) ? Number(port) : NaN;
  try {
    parseIpAddress(address);
  } catch {
    throw new UserError(
      `"${text}" is not an address. Use one such as 192.0.2.1 or 192.0.2.1@5353.`,
    );
  }
  if (rest.length > 0 || !(number >= 1 && number <= 65_535)) {
    throw new UserError(`"${text}" has no port number behind "@". Use one such as 192.0.2.1@5353.`);
  }
  return { address, port: number };
}

function ttl(text: string): number {
  const seconds = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(seconds <= MAX_TTL_SECONDS)) {
    throw new UserError(`"${text}" is no number of seconds from 0 to ${MAX_TTL_SECONDS}.`);
  }
  return seconds;
}
