#!/usr/bin/env bash
# Sees to the system packages that the build needs beside Rust, Java, Maven and Node: compilers and
# make, for librdkafka, SQLite, zlib and zstd, which are compiled from the sources that their crates carry;
# and strace, by which a test sees that the gateway syncs before it answers.
# With `tests`, also a headless Chromium, in which a test looks at the console's pages, and docker-compose, by which
# one reads the compose file; nothing is started with it.
# Installs what is missing as root; as another user names it and stops. Done at once when all is there.
set -euo pipefail

packages=()
command -v cc >/dev/null || packages+=(gcc)
command -v c++ >/dev/null || packages+=(g++)
command -v make >/dev/null || packages+=(make)
[[ -e /usr/include/stdio.h || $(uname) != Linux ]] || packages+=(libc6-dev)
command -v strace >/dev/null || [[ $(uname) != Linux ]] || packages+=(strace)
if [[ ${1:-} == tests ]] && ! command -v chromium-headless-shell chromium >/dev/null; then
  packages+=(chromium-headless-shell fonts-dejavu-core)
fi
if [[ ${1:-} == tests ]] && ! command -v docker-compose >/dev/null; then
  packages+=(docker-compose)
fi
((${#packages[@]})) || exit 0

if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
  echo "system-packages: the build needs ${packages[*]} (Debian's names); install them first:" >&2
  echo "  sudo apt-get install ${packages[*]}" >&2
  exit 1
fi
echo "system-packages: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
