/** A private /etc and /run in a temporary folder, for tests of what is done to the resolver. */

import {
  ResolverConfigurator,
  type ResolverPaths,
} from "../../lib/runtime/resolver_configurator.ts";

export interface ResolverBench {
  readonly paths: ResolverPaths;
  readonly folder: string;
  /** What was logged. */
  readonly log: string[];
  readonly make: () => ResolverConfigurator;
}

/** Makes the folders; `resolvConf` is the text of a plain resolv.conf of mode 0640. */
export function makeResolverBench(resolvConf: string): ResolverBench {
  const folder = Deno.makeTempDirSync();
  for (const name of ["etc", "state", "run"]) Deno.mkdirSync(`${folder}/${name}`);
  const paths: ResolverPaths = {
    resolvConf: `${folder}/etc/resolv.conf`,
    gaiConf: `${folder}/etc/gai.conf`,
    stateFile: `${folder}/state/resolver.json`,
    resolvedConf: `${folder}/run/resolv.conf`,
    networkManagerConf: `${folder}/run/network-manager.conf`,
    nsswitchConf: `${folder}/etc/nsswitch.conf`,
    mountInfo: `${folder}/mountinfo`,
    systemBus: `${folder}/run/bus`,
  };
  Deno.writeTextFileSync(paths.resolvConf, resolvConf);
  Deno.chmodSync(paths.resolvConf, 0o640);
  Deno.writeTextFileSync(paths.mountInfo, "22 1 0:20 / / rw - ext4 /dev/sda rw\n");
  const log: string[] = [];
  const make = () => new ResolverConfigurator(paths, { log: (_level, line) => log.push(line) });
  return { paths, folder, log, make };
}

/** Runs a test on a bench and removes it. */
export function withResolverBench(resolvConf: string, test: (bench: ResolverBench) => void): void {
  const bench = makeResolverBench(resolvConf);
  try {
    test(bench);
  } finally {
    Deno.removeSync(bench.folder, { recursive: true });
  }
}
