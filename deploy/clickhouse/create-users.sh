#!/bin/bash
# One user a service, with its role and nothing else. Passwords come from the environment and go to the server by
# standard input, so that no list of processes shows them; clickhouse-client takes the administrator's from
# CLICKHOUSE_USER and CLICKHOUSE_PASSWORD. The image of clickhouse-server runs this, after roles.sql, when its
# volume is new.
set -euo pipefail

user() {
  local name=$1 role=$2 password=$3
  # A password is text in SQL.
  password=${password//\\/\\\\}
  password=${password//\'/\\\'}
  echo "CREATE USER IF NOT EXISTS $name IDENTIFIED WITH sha256_password BY '$password';"
  echo "GRANT $role TO $name;"
}

{
  user migrator patchline_migrator "${MIGRATOR_PASSWORD:?}"
  user sink patchline_sink "${SINK_PASSWORD:?}"
  user reclassify patchline_reclassify "${RECLASSIFY_PASSWORD:?}"
  user analyst patchline_analyst "${ANALYST_PASSWORD:?}"
} | clickhouse-client --multiquery
