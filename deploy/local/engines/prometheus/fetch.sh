#!/usr/bin/env bash
# Unpacks Debian's prometheus and promtool into <repo>/.cache/engines/prometheus/usr/bin, for the tests of the
# alerts and dashboards. Unpacked, not installed: an installed package would start a server on this machine.
# Done at once when they are there.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${PATCHLINE_ENGINES:-$(cd "$here/../../../.." && pwd)/.cache/engines}/prometheus
[[ -f $dir/.key ]] && exit 0

fail() {
  printf 'engines: %s\n' "$@" >&2
  exit 1
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  fail "apt-get or dpkg-deb is missing; the tests take prometheus from Debian's package"
rm -rf "$dir" && mkdir -p "$dir"
echo "engines: unpacking Prometheus into $dir"
cd "$dir"
# A clean machine has no list of packages yet; only root may fetch it.
if ! apt-get download -qq prometheus >install.log 2>&1; then
  { ((EUID != 0)) || apt-get update -qq; } >>install.log 2>&1 || true
  apt-get download -qq prometheus >>install.log 2>&1 || {
    tail -3 install.log >&2
    fail "apt-get could not download prometheus; run apt-get update as root (whole log: $dir/install.log)"
  }
fi
# The two programs need nothing of the package but themselves and libc.
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin ./usr/share/doc/prometheus/copyright
rm prometheus_*.deb
./usr/bin/promtool --version 2>&1 | head -1 >.key
