#!/usr/bin/env bash
# Checks the dependencies by deny.toml: licences, bans, sources, and advisories where their database can
# be had. cargo-deny is built on first use; unoptimised, which takes a minute instead of several.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=0.20.2
tools=$PWD/.cache/tools
deny=$tools/bin/cargo-deny

if ! "$deny" --version 2>/dev/null | grep -qF " $version"; then
  echo "lint: building cargo-deny $version"
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$tools/target cargo install --quiet --debug --locked \
    --version "$version" --root "$tools" cargo-deny
  rm -rf "$tools/target"
fi

"$deny" --workspace check --hide-inclusion-graph licenses bans sources

# The database is a git repository elsewhere: its absence says nothing about our dependencies.
if fetched=$(GIT_TERMINAL_PROMPT=0 timeout 60 "$deny" fetch db 2>&1); then
  "$deny" --workspace check --hide-inclusion-graph --disable-fetch advisories
else
  printf '%s\n' "$fetched" | tail -1
  echo "lint: advisories were NOT checked: their database (github.com/rustsec/advisory-db) cannot be reached from here"
fi
