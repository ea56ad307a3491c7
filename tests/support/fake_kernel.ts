/**
 * The kernel's side of rtnetlink in memory: interfaces, addresses, routes, labels and rules that
 * requests list and change, and notifications of each change. Printed as text it is the host.
 */

import { describeState } from "../../lib/host/host_diff.ts";
import { bytesEqual } from "../../lib/base/bytes.ts";
import type { NetlinkSocket } from "../../lib/runtime/ports.ts";
import {
  type AddressLabel,
  emitAddress,
  emitAddressLabel,
  type InterfaceAddress,
  parseAddress,
  parseAddressLabel,
} from "../../lib/wire/netlink/address.ts";
import { emitLink, type Link, LINK_FLAG } from "../../lib/wire/netlink/link.ts";
import {
  emitMessage,
  FLAG,
  MESSAGE,
  type NetlinkMessage,
  parseMessages,
  viewOf,
} from "../../lib/wire/netlink/message.ts";
import { parseAttributes, readUint32 } from "../../lib/wire/netlink/attribute.ts";
import { emitRoute, parseRoute, type Route } from "../../lib/wire/netlink/route.ts";
import { emitRule, parseRule, type Rule } from "../../lib/wire/netlink/rule.ts";

const EEXIST = 17;
const ENOENT = 2;
const EADDRNOTAVAIL = 99;
const ESRCH = 3;
const ENETDOWN = 100;

export class FakeKernel {
  links: Link[] = [];
  addresses: InterfaceAddress[] = [];
  routes: Route[] = [];
  labels: AddressLabel[] = [];
  rules: Rule[] = [];
  /** Message types that are answered with this errno instead. */
  readonly refused = new Map<number, number>();
  readonly #listeners: FakeNetlinkSocket[] = [];

  /** A socket for requests, or one that hears of every change. */
  open(options: { readonly isListener?: boolean } = {}): FakeNetlinkSocket {
    const socket = new FakeNetlinkSocket((message) => this.#answer(message));
    if (options.isListener) this.#listeners.push(socket);
    return socket;
  }

  /** Tells listeners that an object is as `payload` says now. */
  notify(type: number, payload: Uint8Array): void {
    for (const listener of this.#listeners) {
      listener.inbox.push(emitMessage({ type, flags: 0, sequence: 0, portId: 0, payload }));
    }
  }

  /** The whole host, one object a line. */
  print(): string {
    const links = this.links.map((link) =>
      `link ${link.index} ${link.name} ${link.flags & LINK_FLAG.UP ? "up" : "down"} mtu ${link.mtu}`
    );
    const { addresses, routes, labels, rules } = this;
    const rest = describeState({ link: undefined, addresses, routes, labels, rules });
    return [...links, ...rest].join("\n");
  }

  #answer(request: NetlinkMessage): Uint8Array[] {
    const refusal = this.refused.get(request.type);
    if (refusal !== undefined) return [error(request, refusal)];
    if ((request.flags & FLAG.DUMP) === FLAG.DUMP && (request.flags & FLAG.ACK) === 0) {
      return this.#list(request);
    }
    return [error(request, this.#change(request))];
  }

  #list(request: NetlinkMessage): Uint8Array[] {
    const payloads = new Map<number, () => [number, Uint8Array[]]>([
      [MESSAGE.GET_LINK, () => [MESSAGE.NEW_LINK, this.links.map(emitLink)]],
      [MESSAGE.GET_ADDRESS, () => [MESSAGE.NEW_ADDRESS, this.addresses.map(emitAddress)]],
      [MESSAGE.GET_ROUTE, () => [MESSAGE.NEW_ROUTE, this.routes.map(emitRoute)]],
      [MESSAGE.GET_RULE, () => [MESSAGE.NEW_RULE, this.rules.map(emitRule)]],
      [
        MESSAGE.GET_ADDRESS_LABEL,
        () => [MESSAGE.NEW_ADDRESS_LABEL, this.labels.map(emitAddressLabel)],
      ],
    ]).get(request.type)!();
    const [type, list] = payloads;
    const base = { flags: FLAG.MULTI, sequence: request.sequence, portId: 1 };
    return [
      ...list.map((payload) => emitMessage({ ...base, type, payload })),
      emitMessage({ ...base, type: MESSAGE.DONE, payload: new Uint8Array(4) }),
    ];
  }

  /** Performs a change; returns its errno. */
  #change({ type, payload }: NetlinkMessage): number {
    switch (type) {
      case MESSAGE.SET_LINK:
        return this.#setLink(payload);
      case MESSAGE.NEW_ADDRESS:
      case MESSAGE.DELETE_ADDRESS: {
        const address = parseAddress(payload)!;
        if (type === MESSAGE.NEW_ADDRESS && !this.#isUp(address.interfaceIndex)) return ENETDOWN;
        return edit(this.addresses, address, emitAddress, type === MESSAGE.NEW_ADDRESS, {
          missing: EADDRNOTAVAIL,
          same: (a, b) => bytesEqual(a.address, b.address) && a.interfaceIndex === b.interfaceIndex,
        });
      }
      case MESSAGE.NEW_ROUTE:
      case MESSAGE.DELETE_ROUTE: {
        const route = parseRoute(payload)!;
        if (type === MESSAGE.NEW_ROUTE && !this.#isUp(route.interfaceIndex)) return ENETDOWN;
        return edit(this.routes, route, emitRoute, type === MESSAGE.NEW_ROUTE, { missing: ESRCH });
      }
      case MESSAGE.NEW_ADDRESS_LABEL:
      case MESSAGE.DELETE_ADDRESS_LABEL: {
        const isNew = type === MESSAGE.NEW_ADDRESS_LABEL;
        const label = parseAddressLabel(payload);
        return edit(this.labels, label, emitAddressLabel, isNew, { missing: ESRCH });
      }
      case MESSAGE.NEW_RULE:
      case MESSAGE.DELETE_RULE: {
        const rule = parseRule(payload)!;
        return edit(this.rules, rule, emitRule, type === MESSAGE.NEW_RULE, { missing: ENOENT });
      }
      default:
        throw new Error(`No such request: ${type}`);
    }
  }

  #setLink(payload: Uint8Array): number {
    const view = viewOf(payload);
    const index = view.getInt32(4, true);
    const flags = view.getUint32(8, true);
    const change = view.getUint32(12, true);
    const mtu = readUint32(parseAttributes(payload, 16).get(4));
    this.links = this.links.map((link) =>
      link.index !== index ? link : {
        ...link,
        flags: (link.flags & ~change) | (flags & change),
        mtu: mtu ?? link.mtu,
      }
    );
    return 0;
  }

  #isUp(index: number): boolean {
    return this.links.some((link) => link.index === index && (link.flags & LINK_FLAG.UP) !== 0);
  }
}

/** Adds to or removes from a list, as the kernel does: nothing twice, nothing that is not there. */
function edit<T>(
  list: T[],
  item: T,
  emit: (item: T) => Uint8Array,
  isNew: boolean,
  options: { missing: number; same?: (a: T, b: T) => boolean },
): number {
  const same = options.same ?? ((a, b) => bytesEqual(emit(a), emit(b)));
  const place = list.findIndex((other) => same(other, item));
  if (isNew) {
    if (place >= 0) return EEXIST;
    list.push(item);
  } else {
    if (place < 0) return options.missing;
    list.splice(place, 1);
  }
  return 0;
}

function error(request: NetlinkMessage, errno: number): Uint8Array {
  const payload = new Uint8Array(20);
  viewOf(payload).setInt32(0, -errno, true);
  const { sequence } = request;
  return emitMessage({ type: MESSAGE.ERROR, flags: 0, sequence, portId: 1, payload });
}

/** One end of a netlink socket. */
export class FakeNetlinkSocket implements NetlinkSocket {
  readonly descriptor = 2000;
  readonly inbox: (Uint8Array | "overrun")[] = [];
  isClosed = false;
  readonly #answer: (message: NetlinkMessage) => Uint8Array[];

  constructor(answer: (message: NetlinkMessage) => Uint8Array[]) {
    this.#answer = answer;
  }

  send(messages: Uint8Array): void {
    for (const message of parseMessages(messages)) this.inbox.push(...this.#answer(message));
  }

  receive(): Uint8Array | "overrun" | undefined {
    return this.inbox.shift();
  }

  close(): void {
    this.isClosed = true;
  }
}
