/** `hip status`: identities, associations, DNS and warnings of the running agent. */

import type { Command } from "commander";
import { ApiClient } from "../runtime/api_client.ts";
import type { AssociationReport, StatusReport } from "../runtime/api_protocol.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import { abbreviateHit, formatOctets, formatSpan, wrap } from "./format.ts";
import { COLUMNS, type Output, printJson } from "./output.ts";
import { renderTable } from "./table.ts";

/** Time between two pictures of `--watch`, in milliseconds. */
const WATCH_MS = 1000;

/** An agent that takes longer to say how it is, is stuck. */
const PATIENCE_MS = 10_000;

/** In place of the HIT of a peer of whom only an address is known. */
const UNKNOWN_HIT = "::";

export function registerStatus(program: Command, context: CliContext): void {
  program.command("status")
    .description("show identities, associations, DNS and warnings")
    .option("--json", "print JSON")
    .option("--watch", "show it again every second, until Ctrl-C")
    .addHelpText("after", example("sudo hip status", "sudo hip status --json | jq .associations"))
    .action(async (options: { json?: true; watch?: true }, command: Command) => {
      const { socketFile } = pathsOf(command, context);
      const { output } = context;
      for (;;) {
        const report = await ApiClient.ask<StatusReport>(socketFile, "status", {}, PATIENCE_MS);
        if (options.watch && output.isTerminal && !options.json) output.print("\x1b[H\x1b[2J");
        if (options.json) printJson(output, report);
        else for (const line of statusLines(report, output.paint)) output.print(line);
        if (!options.watch) return;
        await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
      }
    });
}

/** The lines of `hip status`. Pure but for the painter. */
export function statusLines(report: StatusReport, paint: Output["paint"]): string[] {
  const lines: string[] = [];
  for (const identity of report.identities) {
    const marks = [
      ...identity.isDefault && report.identities.length > 1 ? ["default"] : [],
      ...identity.isAnonymous && identity.name !== "anonymous" ? ["anonymous"] : [],
    ];
    const mark = marks.length === 0 ? "" : `  (${marks.join(", ")})`;
    lines.push(`${paint("bold", identity.name)}  ${identity.hit}  ${identity.kind}${mark}`);
  }
  const state = report.isReady ? paint("green", "up") : paint("yellow", "starting");
  lines.push(`${state} ${formatSpan(report.upForMs)}   DNS ${dnsState(report)}`);
  lines.push(...wrap(`data path: ${dataPath(report)}`, COLUMNS, "  "));
  lines.push(`transport: ${report.transport}`);
  lines.push(`control plane: public keys by ${report.publicKeyProvider}`);
  if (report.locators.length > 0) {
    lines.push(...wrap(`addresses: ${report.locators.join(", ")}`, COLUMNS, "  "));
  }
  for (const warning of report.warnings) {
    const sentence = wrap(`warning: ${warning}`, COLUMNS, "  ");
    lines.push(...sentence.map((line) => paint("yellow", line)));
  }
  lines.push("");
  if (report.associations.length === 0) {
    lines.push("No associations. Try: hip ping NAME");
    return lines;
  }
  lines.push(...associationLines(report, paint));
  return lines;
}

/** A table; below a row why it failed last. Several identities each have their part of it. */
function associationLines(report: StatusReport, paint: Output["paint"]): string[] {
  const { associations, identities } = report;
  const table = [
    ["PEER", "HIT", "STATE", "PATH", "IN / OUT", "SINCE"],
    ...associations.map(associationCells),
  ];
  // A HIT or a state is of no use in part; of a name or an address the beginning still helps.
  const [heading, ...rows] = renderTable(table, { shrinkable: [0, 3] });
  const lines = [paint("bold", heading ?? "")];
  const namesUs = identities.length > 1;
  const localHits = new Set([
    ...identities.map(({ hit }) => hit),
    ...associations.map(({ localHit }) => localHit),
  ]);
  for (const localHit of localHits) {
    const ours = associations.keys().filter((i) => associations[i]!.localHit === localHit);
    for (const [place, index] of ours.toArray().entries()) {
      if (namesUs && place === 0) {
        const name = identities.find(({ hit }) => hit === localHit)?.name ??
          abbreviateHit(localHit);
        lines.push(paint("bold", `as ${name}`));
      }
      lines.push(rows[index]!);
      const { failure } = associations[index]!;
      if (failure !== null && !isUp(associations[index]!)) {
        lines.push(...wrap(failure, COLUMNS - 2).map((line) => `  ${line}`));
      }
    }
  }
  return lines;
}

function isUp({ state, establishedForMs }: AssociationReport): boolean {
  return establishedForMs !== null && ["ESTABLISHED", "R2-SENT"].includes(state);
}

function associationCells(association: AssociationReport): string[] {
  const { octetsIn, octetsOut, establishedForMs, peerAddress, peerHit, transport } = association;
  // Worth a word only where it is not what RFC 7402 §3.3.6 wants.
  const form = association.sequenceNumbers === "32-bit in ICV" ? ", 32-bit in ICV" : "";
  const path = [peerAddress, transport].filter((part) => part !== null).join(", ");
  const carries = isUp(association);
  return [
    association.name || (association.isPeerAnonymous ? "anonymous" : "-"),
    peerHit === UNKNOWN_HIT ? "not known" : abbreviateHit(peerHit),
    association.state,
    peerAddress === null ? "-" : `${path}${form}`,
    carries ? `${formatOctets(octetsIn)} / ${formatOctets(octetsOut)}` : "",
    carries ? formatSpan(establishedForMs!) : "",
  ];
}

/** What carries packets, and which help of the kernel is in use. */
function dataPath({ espProvider, dataPath }: StatusReport): string {
  const { threads, tunChecksums, tunSegments, tunDatagrams, tunJoins } = dataPath;
  const tun = tunSegments
    ? `super-segments${tunDatagrams ? "" : " of TCP"}`
    : tunChecksums
    ? "checksums, joined segments"
    : tunJoins
    ? "joined segments"
    : "plain packets";
  const udp = [["GSO", dataPath.udpSegments], ["GRO", dataPath.udpJoins]] as const;
  const inUse = udp.filter(([, is]) => is).map(([name]) => name);
  const sockets = (dataPath.socketBatches ? "batches" : "single packets") +
    (inUse.length > 0 ? `, UDP ${inUse.join(" and ")}` : "");
  const workers = threads > 0 ? `, ${threads} threads` : "";
  return `user space, ${espProvider}${workers}; TUN ${tun}, sockets ${sockets}`;
}

function dnsState({ dns }: StatusReport): string {
  if (!dns.isServing) return "off";
  return dns.isResolver ? `ok (${dns.listen})` : `on ${dns.listen}, not the system's resolver`;
}
