/** Where things are kept: one folder when `--state` names it, the usual places otherwise. */

/** Every path that the program reads or writes, resolver files of the system apart. */
export interface StatePaths {
  /** Folder of identities, resolver backup, process id and log; mode 0700. */
  readonly stateFolder: string;
  readonly identityFolder: string;
  readonly configFile: string;
  readonly hostsFile: string;
  readonly socketFile: string;
  readonly resolverBackup: string;
  readonly logFile: string;
  readonly processIdFile: string;
  /** Where peers were met since the host started. */
  readonly contactsFile: string;
  /** Which LSI stands for which HIT. */
  readonly lsiFile: string;
}

/** Default for `--state` and HIP_STATE. */
export const DEFAULT_STATE_FOLDER = "/var/lib/hip";

/**
 * The paths for one agent.
 *
 * @param folder What `--state` or HIP_STATE says; undefined for the system's agent, whose settings
 * live in /etc/hip and whose socket in /run/hip.
 */
export function statePaths(folder: string | undefined): StatePaths {
  const state = folder ?? DEFAULT_STATE_FOLDER;
  const isPrivate = folder !== undefined;
  return {
    stateFolder: state,
    identityFolder: `${state}/identities`,
    configFile: isPrivate ? `${state}/hip.conf` : "/etc/hip/hip.conf",
    hostsFile: isPrivate ? `${state}/hosts` : "/etc/hip/hosts",
    socketFile: isPrivate ? `${state}/hip.sock` : "/run/hip/hip.sock",
    resolverBackup: `${state}/resolver.json`,
    logFile: `${state}/hip.log`,
    processIdFile: `${state}/hip.pid`,
    lsiFile: `${state}/lsis`,
    contactsFile: isPrivate ? `${state}/contacts` : "/run/hip/contacts",
  };
}
