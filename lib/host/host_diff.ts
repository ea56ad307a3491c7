/**
 * From the installed state and the wanted one to the changes between them, in an order in which
 * the kernel takes them: what goes leaves before what comes, addresses and routes need the link up,
 * and rules come last so that traffic is never forbidden before it is routed.
 */

import { bytesEqual } from "../base/bytes.ts";
import { formatIpAddress } from "../wire/ip_address.ts";
import type { AddressLabel, InterfaceAddress } from "../wire/netlink/address.ts";
import type { Route } from "../wire/netlink/route.ts";
import { type Rule, RULE_ACTION } from "../wire/netlink/rule.ts";
import { HIT_LABEL, type HostState, type PlannedLink } from "./host_plan.ts";

export type HostChange =
  | { readonly kind: "set-link"; readonly link: PlannedLink }
  | { readonly kind: "add-address" | "remove-address"; readonly address: InterfaceAddress }
  | { readonly kind: "add-route" | "remove-route"; readonly route: Route }
  | { readonly kind: "add-label" | "remove-label"; readonly label: AddressLabel }
  | { readonly kind: "add-rule" | "remove-rule"; readonly rule: Rule };

/** The changes that turn `installed` into `wanted`; none when they are alike. */
export function hostDiff(installed: HostState, wanted: HostState): HostChange[] {
  const changes: HostChange[] = [];
  for (const rule of missingIn(wanted.rules, installed.rules, ruleText)) {
    changes.push({ kind: "remove-rule", rule });
  }
  for (const label of installed.labels) {
    // A label of somebody else's for the same prefix serves as well and is left alone.
    if (label.label !== HIT_LABEL || hasLabelFor(wanted.labels, label)) continue;
    changes.push({ kind: "remove-label", label });
  }
  for (const route of missingIn(wanted.routes, installed.routes, routeText)) {
    changes.push({ kind: "remove-route", route });
  }
  for (const address of missingIn(wanted.addresses, installed.addresses, addressText)) {
    changes.push({ kind: "remove-address", address });
  }
  const link = wanted.link ?? (installed.link && { ...installed.link, isUp: false });
  if (link && (link.isUp !== installed.link?.isUp || link.mtu !== installed.link.mtu)) {
    changes.push({ kind: "set-link", link });
  }
  for (const address of missingIn(installed.addresses, wanted.addresses, addressText)) {
    changes.push({ kind: "add-address", address });
  }
  for (const route of missingIn(installed.routes, wanted.routes, routeText)) {
    changes.push({ kind: "add-route", route });
  }
  for (const label of wanted.labels) {
    if (!hasLabelFor(installed.labels, label)) changes.push({ kind: "add-label", label });
  }
  for (const rule of missingIn(installed.rules, wanted.rules, ruleText)) {
    changes.push({ kind: "add-rule", rule });
  }
  return changes;
}

/** One line for logs and tests: "add-address 2001:20::1/128 dev 7". */
export function describeChange(change: HostChange): string {
  switch (change.kind) {
    case "set-link": {
      const { index, isUp, mtu } = change.link;
      return `set-link dev ${index} ${isUp ? "up" : "down"} mtu ${mtu}`;
    }
    case "add-address":
    case "remove-address":
      return `${change.kind} ${addressText(change.address)}`;
    case "add-route":
    case "remove-route":
      return `${change.kind} ${routeText(change.route)}`;
    case "add-label":
    case "remove-label":
      return `${change.kind} ${labelText(change.label)}`;
    case "add-rule":
    case "remove-rule":
      return `${change.kind} ${ruleText(change.rule)}`;
  }
}

/** A whole state as sorted lines, for logs and tests. */
export function describeState(state: HostState): string[] {
  const { link } = state;
  return [
    ...(link ? [`link dev ${link.index} ${link.isUp ? "up" : "down"} mtu ${link.mtu}`] : []),
    ...state.addresses.map((address) => `address ${addressText(address)}`).sort(),
    ...state.routes.map((route) => `route ${routeText(route)}`).sort(),
    ...state.labels.map((label) => `label ${labelText(label)}`).sort(),
    ...state.rules.map((rule) => `rule ${ruleText(rule)}`).sort(),
  ];
}

/** Those of `others` that `present` has not. */
function missingIn<T>(present: readonly T[], others: readonly T[], text: (item: T) => string): T[] {
  const known = new Set(present.map(text));
  return others.filter((item) => !known.has(text(item)));
}

function hasLabelFor(labels: readonly AddressLabel[], wanted: AddressLabel): boolean {
  return labels.some((label) =>
    label.prefixLength === wanted.prefixLength && bytesEqual(label.prefix, wanted.prefix)
  );
}

/** What identifies an address to the kernel; flags are not part of it. */
function addressText(address: InterfaceAddress): string {
  return `${
    formatIpAddress(address.address)
  }/${address.prefixLength} dev ${address.interfaceIndex}`;
}

function routeText(route: Route): string {
  const { destination, prefixLength, interfaceIndex, table, metric, preferredSource } = route;
  const source = preferredSource ? ` src ${formatIpAddress(preferredSource)}` : "";
  return `${formatIpAddress(destination)}/${prefixLength} dev ${interfaceIndex} ` +
    `table ${table} metric ${metric}${source}`;
}

function labelText(label: AddressLabel): string {
  return `${formatIpAddress(label.prefix)}/${label.prefixLength} label ${label.label}`;
}

function ruleText(rule: Rule): string {
  const from = rule.source
    ? `${formatIpAddress(rule.source.address)}/${rule.source.length}`
    : "all";
  const to = rule.destination
    ? ` to ${formatIpAddress(rule.destination.address)}/${rule.destination.length}`
    : "";
  const action = rule.action === RULE_ACTION.TO_TABLE
    ? `lookup ${rule.table}${suppressText(rule)}`
    : rule.action === RULE_ACTION.UNREACHABLE
    ? "unreachable"
    : rule.action === RULE_ACTION.PROHIBIT
    ? "prohibit"
    : `action ${rule.action}`;
  const device = rule.inputDevice === undefined ? "" : ` iif ${rule.inputDevice}`;
  return `${rule.priority}: from ${from}${to}${device} ${action}`;
}

function suppressText({ suppressPrefixLength }: Rule): string {
  return suppressPrefixLength === undefined ? "" : ` suppress_prefixlength ${suppressPrefixLength}`;
}
