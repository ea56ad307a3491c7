/**
 * `resolv.conf(5)` as text: what it says, and the text that points it at the proxy. Pure.
 */

/** What the file says, as far as it matters here. */
export interface ResolvConf {
  /** Addresses in order, IPv6 zones kept ("fe80::1%eth0"). */
  readonly nameservers: readonly string[];
  /** Lines kept for the replacement: search, domain, sortlist. */
  readonly otherLines: readonly string[];
  /** Words behind `options`. */
  readonly options: readonly string[];
}

/** First line of every file written here, so that people know whose it is. */
export const OWNER_MARK = "# Written by hip: names are resolved through its DNS proxy.";

/** Words that would defeat the proxy: order, AAAA queries, trust in AD bits (RFC 6840 §5.8). */
const REMOVED_OPTIONS = new Set(["rotate", "no-aaaa", "trust-ad"]);

/** systemd-resolved's own listeners: they are no servers but another way to the same resolver. */
const RESOLVED_STUBS = new Set(["127.0.0.53", "127.0.0.54"]);

/** Reads the text; lines that make no sense are passed over, as the C library does. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  const otherLines: string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    // The C library knows comments only at the start of a line.
    if (/^\s*[#;]/.test(line)) continue;
    const [keyword, ...words] = line.trim().split(/\s+/);
    if (keyword === "nameserver" && words[0] !== undefined && isAddress(words[0])) {
      nameservers.push(words[0]);
    } else if (keyword === "options") {
      options.push(...words);
    } else if (keyword === "search" || keyword === "domain" || keyword === "sortlist") {
      otherLines.push([keyword, ...words].join(" "));
    }
  }
  return { nameservers, otherLines, options };
}

/** The file that names the proxy alone and keeps everything else that does no harm. */
export function formatProxyResolvConf(original: ResolvConf, proxyAddress: string): string {
  const options = original.options.filter((word) => !REMOVED_OPTIONS.has(word));
  return [
    OWNER_MARK,
    "# `hip down` puts back what was here before.",
    `nameserver ${proxyAddress}`,
    ...original.otherLines,
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
    "",
  ].join("\n");
}

/** Whether the file leads to systemd-resolved, whose real servers stand elsewhere. */
export function namesResolvedStub(file: ResolvConf): boolean {
  return file.nameservers.some((address) => RESOLVED_STUBS.has(address));
}

/** The servers to ask, in order, each once, without the addresses the proxy itself has. */
export function upstreamsOf(file: ResolvConf, ownAddresses: readonly string[]): string[] {
  return [...new Set(file.nameservers)].filter((address) =>
    !ownAddresses.includes(address) && !RESOLVED_STUBS.has(address)
  );
}

function isAddress(word: string): boolean {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(word)) {
    return word.split(".").every((part) => Number(part) <= 255);
  }
  return /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%[\w.-]+)?$/.test(word);
}
