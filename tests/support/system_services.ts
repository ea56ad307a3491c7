/**
 * Debian's own systemd-resolved and NetworkManager in a host of a lab, with a message bus and a /run
 * of their own. They run out of the folder into which `install.sh --test` unpacks them: installed,
 * they would change the resolver of this machine.
 */

import type { LabHost } from "../../lib/lab/lab.ts";
import { waitFor } from "../../lib/lab/services.ts";
import { shell } from "./system_host.ts";

const CACHE = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`;
const UNPACKED = `${CACHE}/hip-toolchain/unpacked`;
const LIBRARIES = `${UNPACKED}/usr/lib/x86_64-linux-gnu:${UNPACKED}/usr/lib/aarch64-linux-gnu`;

/** Environment in which unpacked programs find their libraries. */
export const UNPACKED_ENV: Readonly<Record<string, string>> = {
  LD_LIBRARY_PATH: LIBRARIES.split(":").flatMap((path) => [path, `${path}/systemd`]).join(":"),
};

const RESOLVED = `${UNPACKED}/lib/systemd/systemd-resolved`;
const RESOLVECTL = `${UNPACKED}/usr/bin/resolvectl`;
const NETWORK_MANAGER = `${UNPACKED}/usr/sbin/NetworkManager`;
const NMCLI = `${UNPACKED}/usr/bin/nmcli`;

const BUS_CONF = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
`;

/** Gives the host a /run of its own and starts a message bus there. */
export async function startBus(host: LabHost): Promise<void> {
  await shell(host, "mount -t tmpfs -o mode=755 run /run && mkdir /run/dbus");
  await shell(host, `cat > /run/bus.conf <<'END'\n${BUS_CONF}END`);
  host.spawn(["dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile"]);
  await waitFor("the message bus", () => succeeds(host, "[ -S /run/dbus/system_bus_socket ]"));
}

/** Starts systemd-resolved with one server of the whole host; resolv.conf leads to its stub. */
export async function startResolved(host: LabHost, server: string): Promise<void> {
  await shell(
    host,
    `set -e
    grep -q ^systemd-resolve: /etc/passwd || {
      echo systemd-resolve:x:992:992::/:/usr/sbin/nologin >> /etc/passwd
      echo systemd-resolve:x:992: >> /etc/group
    }
    mkdir -p /run/systemd/resolve
    chown systemd-resolve:systemd-resolve /run/systemd/resolve
    mkdir -p /etc/systemd
    printf '[Resolve]\\nDNS=${server}\\nLLMNR=no\\nMulticastDNS=no\\n' > /etc/systemd/resolved.conf
    rm -f /etc/resolv.conf
    ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf`,
  );
  host.spawn([RESOLVED], { env: { ...UNPACKED_ENV } });
  await waitFor(
    "systemd-resolved",
    () => succeeds(host, "[ -e /run/systemd/resolve/resolv.conf ]"),
  );
}

/** Runs resolvectl; what it says. */
export function resolvectl(host: LabHost, ...args: string[]): Promise<string> {
  return runUnpacked(host, [RESOLVECTL, ...args]);
}

/** Starts NetworkManager, in charge of eth0 as it is and of resolv.conf. */
export async function startNetworkManager(
  host: LabHost,
  address: string,
  server: string,
): Promise<void> {
  const profile = `[connection]
id=lan
uuid=6d1b1f6c-5a4c-4f0e-9a52-2f7a5e3f0a11
type=ethernet
interface-name=eth0
[ipv4]
method=manual
address1=${address}/24,${address.replace(/\d+$/, "1")}
dns=${server};
[ipv6]
method=ignore
`;
  await shell(
    host,
    `set -e
    # Without udev it takes charge of devices only where /sys cannot be written, as in containers.
    mount -o remount,bind,ro /sys
    mount -t tmpfs lib /var/lib
    mkdir -p /run/NetworkManager /var/lib/NetworkManager /etc/NetworkManager/system-connections
    rm -f /etc/NetworkManager/NetworkManager.conf
    printf '[main]\\nplugins=keyfile\\ndns=default\\n[keyfile]\\nunmanaged-devices=interface-name:hip0\\n' \
      > /etc/NetworkManager/NetworkManager.conf
    cat > /etc/NetworkManager/system-connections/lan.nmconnection <<'END'\n${profile}END
    chmod 600 /etc/NetworkManager/system-connections/*`,
  );
  host.spawn([NETWORK_MANAGER, "--no-daemon"], { env: { ...UNPACKED_ENV } });
  await waitFor(
    "NetworkManager",
    () => succeeds(host, `grep -q '^nameserver ${server}$' /run/NetworkManager/resolv.conf`),
  );
}

/** Gives the connection of `startNetworkManager` another DNS server. */
export async function setNetworkManagerDns(host: LabHost, server: string): Promise<void> {
  await runUnpacked(host, [NMCLI, "connection", "modify", "lan", "ipv4.dns", server]);
  await runUnpacked(host, [NMCLI, "device", "reapply", "eth0"]);
}

async function runUnpacked(host: LabHost, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(command, {
    env: { ...UNPACKED_ENV },
    timeoutMs: 10_000,
  });
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout;
}

async function succeeds(host: LabHost, line: string): Promise<boolean> {
  return (await host.run(["sh", "-c", line])).code === 0;
}
