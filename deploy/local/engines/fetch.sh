#!/usr/bin/env bash
# Installs the two engines of the local stack into <repo>/.cache/engines:
#   kafka/libs/*.jar                       pinned by kafka/pom.xml, checksums checked by Maven
#   clickhouse/node_modules/@chdb/*/libchdb.so   pinned by clickhouse/package-lock.json, sha512 checked by npm
# Done at once when both are up to date. An engine whose address is given (KAFKA_BOOTSTRAP,
# CLICKHOUSE_URL) is left out: the server behind that address takes its place.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
engines=${PATCHLINE_ENGINES:-$(cd "$here/../../.." && pwd)/.cache/engines}

fail() {
  printf 'engines: %s\n' "$@" >&2
  exit 1
}

# up_to_date DIR KEY: the key is the hash of what pins the engine, written after a whole install.
up_to_date() { [[ -f $1/.key && $(<"$1/.key") == "$2" ]]; }

hash_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

fetch_kafka() {
  local dir=$engines/kafka key
  key=$(hash_of "$here/kafka/pom.xml")
  up_to_date "$dir" "$key" && return
  command -v mvn >/dev/null || fail "mvn is missing: install Maven (Debian: apt-get install maven)," \
    "or set KAFKA_BOOTSTRAP=host:port of an existing Kafka"
  rm -rf "$dir" && mkdir -p "$dir/libs"
  echo "engines: installing Kafka into $dir"
  mvn -q -B -C -Dstyle.color=never -Djansi.mode=strip -f "$here/kafka/pom.xml" dependency:copy-dependencies \
    -DoutputDirectory="$dir/libs" -DincludeScope=runtime >"$dir/install.log" 2>&1 || {
    grep -i -m 3 error "$dir/install.log" >&2 || true
    fail "Maven could not install Kafka; is Maven Central reachable from here? (whole log: $dir/install.log)" \
      "without it, set KAFKA_BOOTSTRAP=host:port of an existing Kafka, and nothing is downloaded"
  }
  echo "$key" >"$dir/.key"
}

fetch_clickhouse() {
  local dir=$engines/clickhouse key
  key=$(hash_of "$here/clickhouse/package.json" "$here/clickhouse/package-lock.json")
  up_to_date "$dir" "$key" && return
  command -v npm >/dev/null || fail "npm is missing: install Node.js (Debian: apt-get install npm)," \
    "or set CLICKHOUSE_URL=http://host:8123 of an existing ClickHouse"
  rm -rf "$dir" && mkdir -p "$dir"
  cp "$here/clickhouse/package.json" "$here/clickhouse/package-lock.json" "$dir/"
  echo "engines: installing the ClickHouse engine into $dir"
  # An optional dependency that npm could not download is no error to npm, hence the second check.
  if ! (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund >install.log 2>&1) ||
    ! compgen -G "$dir/node_modules/@chdb/lib-*/libchdb.so" >/dev/null; then
    grep -i -m 3 error "$dir/install.log" >&2 || true
    fail "npm could not install the ClickHouse engine; is the npm registry reachable from here? (whole log: $dir/install.log)" \
      "without it, set CLICKHOUSE_URL=http://host:8123 of an existing ClickHouse, and nothing is downloaded"
  fi
  echo "$key" >"$dir/.key"
}

if [[ -n ${KAFKA_BOOTSTRAP:-} ]]; then
  echo "engines: Kafka left out, KAFKA_BOOTSTRAP is set"
else
  fetch_kafka
fi
if [[ -n ${CLICKHOUSE_URL:-} ]]; then
  echo "engines: ClickHouse left out, CLICKHOUSE_URL is set"
else
  fetch_clickhouse
fi
