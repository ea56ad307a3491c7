/** `hip lookup`: what DNS and the hosts file say of a name, and what an application would get. */

import type { Command } from "commander";
import { ApiClient } from "../runtime/api_client.ts";
import type { LookupReport } from "../runtime/api_protocol.ts";
import { type CliContext, example, pathsOf } from "./context.ts";
import { printJson } from "./output.ts";
import { UserError } from "../base/errors.ts";

export function registerLookup(program: Command, context: CliContext): void {
  program.command("lookup")
    .description("show the Host Identities and addresses of a name")
    .argument("<name>", "domain name")
    .option("--json", "print JSON")
    .addHelpText("after", example("sudo hip lookup www.example.org"))
    .action(async (name: string, options: { json?: true }, command: Command) => {
      const { socketFile } = pathsOf(command, context);
      const report = await ApiClient.ask<LookupReport>(socketFile, "lookup", { name });
      if (options.json) printJson(context.output, report);
      else for (const line of lookupLines(report)) context.output.print(line);
      if (report.identities.length === 0 && report.answer.length === 0) {
        throw new UserError(`nothing is known of ${name} (${report.responseCode}).`);
      }
    });
}

const SOURCES: Readonly<Record<string, string>> = {
  static: "from the hosts file",
  "dns-secure": "from DNS, validated",
  dns: "from DNS",
  met: "from an earlier exchange",
};

/** The lines of `hip lookup`. */
export function lookupLines(report: LookupReport): string[] {
  const lines: string[] = [];
  for (const identity of report.identities) {
    lines.push(`HIT         ${identity.hit}`);
    const kind = identity.kind ?? "key not published, the HIT must do";
    lines.push(`  identity  ${kind} (${identity.source === "static" ? "hosts file" : "DNS"})`);
    if (!identity.isAccepted) lines.push("  not used  its HIT suite is not among hit_suites");
    const mapping = report.mappings.find(({ hit }) => hit === identity.hit);
    if (mapping !== undefined) {
      if (mapping.lsi !== null) lines.push(`  as IPv4   ${mapping.lsi}`);
      const { secondsLeft } = mapping;
      const span = secondsLeft === null ? "for good" : `for ${secondsLeft} s more`;
      lines.push(`  known     ${SOURCES[mapping.source] ?? mapping.source}, ${span}`);
    }
    for (const server of identity.rendezvous) lines.push(`  via       ${server} (rendezvous)`);
  }
  for (const locator of report.locators) lines.push(`address     ${locator}`);
  if (report.answer.length > 0) {
    lines.push("an application gets, in this order:");
    for (const address of report.answer) lines.push(`            ${address}`);
  }
  return lines;
}
