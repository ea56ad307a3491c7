/** `hip host`: the static names of this host, which live in its hosts file. */

import type { Command } from "commander";
import { UserError } from "../base/errors.ts";
import {
  addHostsEntry,
  formatHostsLine,
  type HostsEntry,
  parseHostsFile,
  parseHostsLine,
  removeHostsEntries,
} from "../dns/hosts_file.ts";
import { ApiClient, NotUpError } from "../runtime/api_client.ts";
import { readIfThere, systemProblem, writeFileAtomically } from "../runtime/atomic_file.ts";
import { formatHostName } from "../wire/dns/name.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import { abbreviateHit, count } from "./format.ts";
import { printJson } from "./output.ts";
import { renderTable } from "./table.ts";

/** Others may know whom we know; only the owner may say so (DNS-186). */
const HOSTS_MODE = 0o644;

export function registerHost(program: Command, context: CliContext): void {
  const host = program.command("host")
    .description("names that need no DNS: add, remove, list")
    .addHelpText("after", example("sudo hip host add 2001:22:...:9a04 web1 192.0.2.9"));
  registerAdd(host, context);
  registerRemove(host, context);
  registerList(host, context);
}

function registerAdd(parent: Command, context: CliContext): void {
  parent.command("add")
    .description("add a host, as its `hip identity show --hosts` prints it, or in pieces")
    .argument("<hit>", "its HIT")
    .argument("<words...>", "its name, its addresses, and options such as rvs=NAME")
    .addHelpText("after", example("sudo hip host add 2001:22:...:9a04 locator=192.0.2.9 web1"))
    .action(async (hit: string, words: string[], _options: unknown, command: Command) => {
      const entry = readEntry(hit, words);
      const { hostsFile, socketFile } = pathsOf(command, context);
      change(hostsFile, (text) => addHostsEntry(text, entry));
      await tellAgent(socketFile);
      context.output.print(formatHostsLine(entry));
    });
}

function registerRemove(parent: Command, context: CliContext): void {
  parent.command("remove")
    .description("remove the lines of a name, a HIT or an address")
    .argument("<what>", "name, HIT or address")
    .addHelpText("after", example("sudo hip host remove web1"))
    .action(async (what: string, _options: unknown, command: Command) => {
      const { hostsFile, socketFile } = pathsOf(command, context);
      let removed = 0;
      change(hostsFile, (text) => {
        const result = removal(text, what);
        removed = result.removed;
        return result.text;
      });
      if (removed === 0) throw new UserError(`${hostsFile} has no line for ${what}.`);
      await tellAgent(socketFile);
      context.output.print(`Removed ${count(removed, "line")}.`);
    });
}

function registerList(parent: Command, context: CliContext): void {
  parent.command("list")
    .description("list the static names")
    .option("--json", "print JSON")
    .addHelpText("after", example("hip host list"))
    .action((options: { json?: true }, command: Command) => {
      const { hostsFile } = pathsOf(command, context);
      const { entries, problems } = parseHostsFile(readHosts(hostsFile));
      const { output } = context;
      for (const problem of problems) {
        output.note(`${hostsFile}, line ${problem.line} is passed over: ${problem.message}.`);
      }
      if (options.json) printJson(output, entries.map(entryJson));
      else if (entries.length === 0) output.print(`${hostsFile} names nobody yet.`);
      else for (const line of hostLines(entries)) output.print(line);
    });
}

/** The table of `hip host list`. */
export function hostLines(entries: readonly HostsEntry[]): string[] {
  return renderTable([
    ["NAME", "HIT OR ADDRESS", "REACHED AT"],
    ...entries.map((entry) => [
      entry.names.map(formatHostName).join(" "),
      abbreviateHit(formatIpAddress(entry.address)),
      [
        ...entry.locators.map(formatIpAddress),
        ...entry.rendezvousNames.map((name) => `via ${formatHostName(name)}`),
      ].join(" "),
    ]),
  ]);
}

/** Understands both the printed line and "HIT NAME ADDRESS...". */
function readEntry(hit: string, words: readonly string[]): HostsEntry {
  const addresses = words.filter(isAddress);
  const rest = words.filter((word) => !isAddress(word));
  const locators = addresses.length === 0 ? [] : [`locator=${addresses.join(",")}`];
  let entry: HostsEntry | undefined;
  try {
    entry = parseHostsLine([hit, ...locators, ...rest].join(" "));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UserError(`${error.message}. Give a HIT, a name and its addresses.`);
  }
  if (entry === undefined) throw new UserError("nothing to add. Give a HIT and a name.");
  return entry;
}

/** Names hold no colon and do not end in a number; addresses do one or the other. */
function isAddress(word: string): boolean {
  return !word.includes("=") && (word.includes(":") || /^\d+(\.\d+){3}$/.test(word));
}

function removal(text: string, what: string): { text: string; removed: number } {
  try {
    return removeHostsEntries(text, what);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UserError(`${error.message}.`);
  }
}

function readHosts(path: string): string {
  try {
    return readIfThere(path) ?? "";
  } catch (error) {
    throw new UserError(`cannot read ${path} (${systemProblem(error)}). Run it as root.`);
  }
}

function change(path: string, edit: (text: string) => string): void {
  const before = readHosts(path);
  const after = edit(before);
  if (after === before) return;
  try {
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    writeFileAtomically(path, after, { mode: HOSTS_MODE });
  } catch (error) {
    throw new UserError(`cannot write ${path} (${systemProblem(error)}). Run it as root.`);
  }
}

/** A running agent takes the change in at once; without one it does at its start. */
async function tellAgent(socketFile: string): Promise<void> {
  try {
    await ApiClient.ask(socketFile, "reload");
  } catch (error) {
    if (!(error instanceof NotUpError)) throw error;
  }
}

function entryJson(entry: HostsEntry): Record<string, unknown> {
  return {
    kind: entry.kind,
    address: formatIpAddress(entry.address),
    names: entry.names.map(formatHostName),
    locators: entry.locators.map(formatIpAddress),
    rendezvous: entry.rendezvousNames.map(formatHostName),
  };
}
