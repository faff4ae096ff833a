# One command each. `make` alone lists them.
#
#   make demo COMPUTERS=1000      another size than 200 computers
#   make demo REPORT=report.json  one real report of a Linux agent in place of the fleet
#   make demo ONCE=1              exit when all is shown; fails if a report was lost or doubled
#   make demo KAFKA_BOOTSTRAP=host:9092 CLICKHOUSE_URL=http://host:8123   existing servers

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test conformance lint bench engines prometheus clean system-packages binaries

# Given to make or in the environment, both reach what it starts.
export KAFKA_BOOTSTRAP CLICKHOUSE_URL CLICKHOUSE_USER CLICKHOUSE_PASSWORD

options = $(if $(COMPUTERS),--computers $(COMPUTERS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
          $(if $(SEED),--seed $(SEED)) $(if $(REPORT),--report '$(REPORT)') $(if $(ONCE),--once)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@sed -nE '3,7s/^# ?//p' $(MAKEFILE_LIST)

demo: system-packages ## run everything here, send a fleet's reports through it, show what became of them
	@$(MAKE) --no-print-directory -j2 engines binaries
	@exec target/release/patchline-local demo $(options)

test: system-packages engines prometheus ## every test, against a real Kafka and ClickHouse
	@deploy/local/system-packages.sh tests
	@deploy/local/test.sh

conformance: system-packages ## the catalog against real data: DATA=dir with msrc/, osv/, versions/
	@DATA='$(and $(DATA),$(abspath $(DATA)))' cargo test --locked -p patchline-enrich --test conformance -- \
	  --nocapture --test-threads=1

lint: system-packages ## rustfmt, clippy, rustdoc, cargo-deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
	@deploy/local/deny.sh

bench: system-packages engines binaries ## every benchmark
	cargo bench --workspace --locked --bench '*'

engines: ## fetch Kafka and the ClickHouse engine into .cache
	@deploy/local/engines/fetch.sh

prometheus:
	@deploy/local/engines/prometheus/fetch.sh

clean: ## remove what was built, fetched and stored
	rm -rf target .cache

system-packages:
	@deploy/local/system-packages.sh

binaries:
	@cargo build --release --locked --workspace --bins
