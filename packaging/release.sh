#!/bin/sh
# Makes what `curl ... | sh` installs, in dist/release: the archive
# hip-VERSION-linux-MACHINE.tar.gz, its .sha256, the file `latest` that names the version, and an
# install.sh that knows the address.
#
#     sh packaging/release.sh URL
#
# URL is the address of the folder that all four will be put into. The runtime base is Deno's own
# download or DENORT_BIN, never the fallback of install.sh.

set -eu

[ $# -eq 1 ] || { echo 'Usage: sh packaging/release.sh URL' >&2; exit 2; }
url=${1%/}
case $url in
  *[!A-Za-z0-9:/._~%+@=-]*) echo "release.sh: cannot use $url as an address" >&2; exit 2 ;;
  *) ;;
esac
cd "$(dirname "$0")/.."

version=$(sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' deno.json)
name=hip-$version-linux-$(uname -m)
release=dist/release
staging=$(mktemp -d "${TMPDIR:-/tmp}/hip-release.XXXXXX")
trap 'rm -rf "$staging"' EXIT
trap 'exit 130' INT TERM

mkdir "$staging/$name"
deno run -A tools/compile.ts --release --output "$staging/$name/hip"
cp packaging/hip.service LICENSE README.md CHANGELOG.md "$staging/$name/"

# Equal sources give an equal archive around the binary: no owner, no time of build.
time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -C "$staging" -cf - "$name" |
  gzip -9n >"$staging/$name.tar.gz"
(cd "$staging" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
printf '%s\n' "$version" >"$staging/latest"
sed "s|^HIP_RELEASE_URL=.*|HIP_RELEASE_URL=\${HIP_RELEASE_URL:-$url}|" install.sh >"$staging/install.sh"

mkdir -p "$release"
for file in "$name.tar.gz" "$name.tar.gz.sha256" latest install.sh; do
  mv "$staging/$file" "$release/$file"
done
echo "release.sh: $release holds hip $version for $url"
