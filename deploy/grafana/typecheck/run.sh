#!/usr/bin/env bash
# Holds the dashboards against Grafana's own types. Fetches them, pinned by package-lock.json, into
# <repo>/.cache/grafana on first use; needs node and npm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(cd "$here/../../.." && pwd)/.cache/grafana
key=$(sha256sum "$here/package-lock.json" | cut -d' ' -f1)
mkdir -p "$dir"
if [[ ! -f $dir/.key || $(<"$dir/.key") != "$key" ]]; then
  cp "$here/package.json" "$here/package-lock.json" "$dir/"
  (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund >install.log 2>&1) || {
    echo "grafana: npm could not install @grafana/schema and typescript (log: $dir/install.log)" >&2
    exit 1
  }
  echo "$key" >"$dir/.key"
fi
rm -rf "$dir/dashboards"
node "$here/write.mjs" "$here/../dashboards" "$dir/dashboards"
cd "$dir"
node_modules/.bin/tsc --noEmit --strict --skipLibCheck --target es2022 --module preserve --moduleResolution bundler dashboards/*.ts
