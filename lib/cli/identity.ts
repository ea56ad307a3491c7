/** `hip identity`: makes, lists, shows and chooses Host Identities. Never prints a private key. */

import { type Command, Option } from "commander";
import { UserError } from "../base/errors.ts";
import {
  describeAlgorithm,
  generateHostIdentity,
  IDENTITY_KINDS,
  isWeakIdentity,
} from "../identity/host_identity.ts";
import type { IdentityKind } from "../identity/host_identity.ts";
import { formatHit, hostIdentityToDnsKey } from "../identity/hit.ts";
import { ApiClient } from "../runtime/api_client.ts";
import type { StatusReport } from "../runtime/api_protocol.ts";
import { DEFAULT_CONFIG } from "../runtime/config.ts";
import { identityName } from "../runtime/config_values.ts";
import { IdentityStore, type StoredIdentity } from "../runtime/identity_store.ts";
import { weakIdentity } from "../runtime/weak_choices.ts";
import { SYSTEM_RANDOM } from "../runtime/system_random.ts";
import type { HipRecord } from "../wire/dns/hip.ts";
import { formatGenericHipRecord, formatHipRecord } from "../wire/dns/hip_presentation.ts";
import { parseName } from "../wire/dns/name.ts";
import { parseIpAddress } from "../wire/ip_address.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import { printJson } from "./output.ts";
import { renderTable } from "./table.ts";

export function registerIdentity(program: Command, context: CliContext): void {
  const identity = program.command("identity")
    .description("make, list, show and choose Host Identities")
    .addHelpText("after", example("sudo hip identity new work --kind rsa", "hip identity list"));
  registerNew(identity, context);
  registerList(identity, context);
  registerShow(identity, context);
  registerUse(identity, context);
}

interface NewOptions {
  readonly kind: IdentityKind;
  readonly anonymous?: true;
}

function registerNew(parent: Command, context: CliContext): void {
  parent.command("new")
    .description("make an identity")
    .argument("[name]", "its name here", defaultIdentityName())
    .addOption(
      new Option("--kind <kind>", "kind of key").choices([...IDENTITY_KINDS])
        .default(DEFAULT_CONFIG.identityKind),
    )
    .option("--anonymous", "an identity that is not published")
    .addHelpText("after", example("sudo hip identity new work --kind ecdsa-p384"))
    .action(async (name: string, options: NewOptions, command: Command) => {
      const store = storeOf(command, context);
      // The name first: an RSA key takes a while.
      if (store.names().includes(name)) {
        throw new UserError(`there is an identity named "${name}" already. Choose another name.`);
      }
      const made = generateHostIdentity(options.kind, SYSTEM_RANDOM);
      const stored = store.add(name, made, options.anonymous ?? false);
      context.output.print(identityLine(stored));
      if (isWeakIdentity(made)) {
        context.output.note(weakIdentity(name, describeAlgorithm(made)));
      }
      await remindIfUp(command, context);
    });
}

function registerList(parent: Command, context: CliContext): void {
  parent.command("list")
    .description("list the identities of this host")
    .option("--json", "print JSON")
    .addHelpText("after", example("sudo hip identity list"))
    .action((options: { json?: true }, command: Command) => {
      const identities = storeOf(command, context).list();
      if (options.json) {
        printJson(context.output, identities.map(identityJson));
      } else if (identities.length === 0) {
        context.output.print("There is no identity yet. Make one with: sudo hip identity new");
      } else {
        const rows = identities.map((stored) => [
          stored.name,
          formatHit(stored.identity.hit),
          describeAlgorithm(stored.identity),
          notes(stored),
        ]);
        // A HIT is of no use in part.
        const table = renderTable([["NAME", "HIT", "KIND", ""], ...rows], { shrinkable: [0, 2] });
        for (const line of table) context.output.print(line);
      }
    });
}

interface ShowOptions {
  readonly dns?: true;
  readonly hosts?: true;
  readonly json?: true;
  readonly as?: string;
  readonly address: readonly string[];
  readonly all?: true;
  readonly rvs: readonly string[];
}

function registerShow(parent: Command, context: CliContext): void {
  parent.command("show")
    .description("show one identity, or what publishes it")
    .argument("[name]", "its name here; the default one if left out")
    .option("--dns", "the record for the DNS zone of this host (RFC 8005)")
    .option("--hosts", "the line for the hosts file of another host")
    .option("--as <domain>", "domain name of this host in that line")
    .option("--all", "with --dns: a line for every identity that is not anonymous")
    .option("--rvs <name>", "with --dns: a rendezvous server of this host", gatherNames, [])
    .option("--address <address>", "address of this host in the hosts line", gather, [])
    .option("--json", "print JSON")
    .addHelpText("after", example("hip identity show --dns --as www.example.org"))
    .action(async (name: string | undefined, options: ShowOptions, command: Command) => {
      const stored = pick(storeOf(command, context), name);
      const { output } = context;
      if (options.dns) {
        const published = options.all ? publicIdentities(command, context) : [stored];
        for (const each of published) {
          output.print(zoneLines(each, domainName(options.as), options.rvs));
        }
      }
      if (options.hosts) {
        const socketFile = pathsOf(command, context).socketFile;
        const addresses = await addressesOf(options.address, socketFile);
        if (addresses.length === 0) {
          output.note("hip is not up: add the address of this host with --address.");
        }
        output.print(hostsLine(stored, domainName(options.as), addresses));
      }
      if (options.json) printJson(output, identityJson(stored));
      if (!options.dns && !options.hosts && !options.json) output.print(identityLine(stored));
    });
}

function registerUse(parent: Command, context: CliContext): void {
  parent.command("use")
    .description("make an identity the default, from the next hip up on")
    .argument("<name>", "its name here")
    .addHelpText("after", example("sudo hip identity use work"))
    .action(async (name: string, _options: unknown, command: Command) => {
      const store = storeOf(command, context);
      store.setDefault(name);
      context.output.print(identityLine(store.read(name)));
      await remindIfUp(command, context);
    });
}

/**
 * What to put into the zone: the line of RFC 3597 §5, which every server reads, behind a comment with
 * that of RFC 8005 §6, which people read. Of Debian 12's servers only BIND knows the second.
 */
function zoneLines(
  stored: StoredIdentity,
  domain: string,
  rendezvousNames: readonly string[],
): string {
  const owner = parseName(domain);
  const record = hipRecordOf(stored, rendezvousNames.map((name) => parseName(name)));
  return `; ${formatHipRecord(owner, record)}\n${formatGenericHipRecord(owner, record)}`;
}

/**
 * The HIP record that publishes an identity.
 *
 * @param rendezvousNames Uncompressed, the preferred one first.
 * @throws {UserError} When it is anonymous, or DNS has no form for its key.
 */
export function hipRecordOf(
  stored: StoredIdentity,
  rendezvousNames: readonly Uint8Array[],
): HipRecord {
  // RFC 7401 §5.1.2: what is published is no longer anonymous.
  if (stored.isAnonymous) {
    throw new UserError(
      `the identity "${stored.name}" is anonymous and is not published. Use another identity.`,
    );
  }
  const dnsKey = hostIdentityToDnsKey(stored.identity);
  if (dnsKey === undefined) {
    throw new UserError(
      `DNS has no form for ${describeAlgorithm(stored.identity)} keys. Use another identity.`,
    );
  }
  return {
    pkAlgorithm: dnsKey.pkAlgorithm,
    hit: stored.identity.hit,
    publicKey: dnsKey.key,
    rendezvousNames,
  };
}

/** The line that `hip host add` would write on another host. */
export function hostsLine(
  stored: StoredIdentity,
  domain: string,
  addresses: readonly string[],
): string {
  const locators = addresses.length === 0 ? "" : ` locator=${addresses.join(",")}`;
  return `${formatHit(stored.identity.hit)}${locators} ${domain}`;
}

function gather(value: string, previous: readonly string[]): string[] {
  try {
    parseIpAddress(value);
  } catch {
    throw new UserError(`"${value}" is not an IPv4 or IPv6 address.`);
  }
  return [...previous, value];
}

/** For options that name domains, again and again. */
export function gatherNames(value: string, previous: readonly string[]): string[] {
  try {
    parseName(value);
  } catch {
    throw new UserError(`"${value}" is not a domain name.`);
  }
  return [...previous, value];
}

/** The identities that may be published, the default one first. @throws {UserError} Without any. */
export function publicIdentities(command: Command, context: CliContext): StoredIdentity[] {
  const found = storeOf(command, context).list().filter(({ isAnonymous }) => !isAnonymous);
  if (found.length > 0) return found;
  throw new UserError("there is no identity to publish. Make one with: sudo hip identity new");
}

/** A running agent has read its identities already. */
async function remindIfUp(command: Command, context: CliContext): Promise<void> {
  try {
    (await ApiClient.connect(pathsOf(command, context).socketFile)).close();
  } catch (error) {
    if (error instanceof UserError) return;
    throw error;
  }
  context.output.note("hip is up: this holds after hip down and hip up.");
}

async function addressesOf(given: readonly string[], socketFile: string): Promise<string[]> {
  if (given.length > 0) return [...given];
  try {
    const { locators } = await ApiClient.ask<StatusReport>(socketFile, "status");
    return locators.filter((locator) => !locator.startsWith("fe80:"));
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

/** The name of this host in DNS. @throws {UserError} When it is none. */
export function domainName(given: string | undefined): string {
  const name = given ?? Deno.hostname();
  try {
    parseName(name);
  } catch {
    throw new UserError(`"${name}" is not a domain name. Give one with --as.`);
  }
  return name;
}

/** The identity of that name, the default one without. @throws {UserError} When there is none. */
export function pick(store: IdentityStore, name: string | undefined): StoredIdentity {
  const chosen = name ?? store.defaultName();
  if (chosen === undefined) {
    throw new UserError("there is no identity yet. Make one with: sudo hip identity new");
  }
  return store.read(chosen);
}

export function storeOf(command: Command, context: CliContext): IdentityStore {
  return new IdentityStore(pathsOf(command, context).identityFolder);
}

/** The host's name where it can be a file name, else "default". */
function defaultIdentityName(): string {
  try {
    return identityName(Deno.hostname());
  } catch {
    return "default";
  }
}

function notes(stored: StoredIdentity): string {
  const isWeak = isWeakIdentity(stored.identity);
  return [
    stored.isDefault ? "default" : "",
    stored.isAnonymous ? "anonymous" : "",
    isWeak ? "weak" : "",
  ].filter((note) => note !== "").join(", ");
}

function identityLine(stored: StoredIdentity): string {
  const kind = describeAlgorithm(stored.identity);
  const line = `${stored.name}  ${formatHit(stored.identity.hit)}  ${kind}  ${notes(stored)}`;
  return line.trimEnd();
}

/** Public parts only. */
function identityJson(stored: StoredIdentity): Record<string, unknown> {
  return {
    name: stored.name,
    hit: formatHit(stored.identity.hit),
    kind: describeAlgorithm(stored.identity),
    algorithm: stored.identity.algorithm,
    isDefault: stored.isDefault,
    isAnonymous: stored.isAnonymous,
  };
}
