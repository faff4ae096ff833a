#!/usr/bin/env bash
# Sees to the system packages that the build needs beside Rust, Java, Maven and Node: compilers and
# make, for librdkafka, zlib and zstd, which are compiled from the sources that their crates carry.
# Installs what is missing as root; as another user names it and stops. Done at once when all is there.
set -euo pipefail

packages=()
command -v cc >/dev/null || packages+=(gcc)
command -v c++ >/dev/null || packages+=(g++)
command -v make >/dev/null || packages+=(make)
[[ -e /usr/include/stdio.h || $(uname) != Linux ]] || packages+=(libc6-dev)
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
