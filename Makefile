# Every command that builds, starts, tests or checks HelixFlow. `make` alone lists them.
# Needs the Rust toolchain, gcc and Python 3 with pip and venv; all else is fetched into target/.

# One target folder, whatever the environment says, so that every path below holds.
export CARGO_TARGET_DIR := $(CURDIR)/target
# RUSTFLAGS would replace the flags of .cargo/config.toml.
unexport RUSTFLAGS

TOOLS   := $(CARGO_TARGET_DIR)/tools
DEBUG   := $(CARGO_TARGET_DIR)/debug/helixflow
RELEASE := $(CARGO_TARGET_DIR)/release/helixflow

MODEL_ID := smollm2-135m-instruct
MODELS   := $(CARGO_TARGET_DIR)/models
MODEL    := $(MODELS)/$(MODEL_ID).gguf

VENV   := $(TOOLS)/venv
PYTHON := $(VENV)/bin/python
PINNED := tests/scripts/requirements.txt

BENCH := $(CARGO_TARGET_DIR)/bench

DENY_VERSION := 0.20.2
DENY_ROOT    := $(TOOLS)/cargo-deny-$(DENY_VERSION)
DENY         := $(DENY_ROOT)/bin/cargo-deny

# Passed on to the program that a target starts: make up ARGS="--nodes 2".
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up install release build model tools test verify-engine verify-saturation verify-idle verify-chaos \
        verify-kills verify-stress verify-restarts verify-reaction verify-simulation simulate chaos heat bench-simulator bench-engine bench-raft \
        bench-telemetry fmt lint docs audit audit-tool clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: release ## Build, then run a local cluster in the foreground; Ctrl-C ends it
	@echo "The binary is $(RELEASE); make install puts it on the PATH."
	@exec $(RELEASE) up $(ARGS)

install: ## Put the binary `helixflow` into cargo's folder of programs
	cargo install --locked --path cli

release:
	cargo build --release --locked --package helixflow

# Everything that the tests run, built once: building less here would build it again with other features.
build: ## Build everything, tests included, without optimisation
	cargo build --workspace --all-targets --locked

model: $(MODEL) ## Fetch the default model for the tests

$(MODEL): | build
	$(DEBUG) model fetch $(MODEL_ID) --to $(MODELS)

tools: $(VENV)/installed ## Install the pinned Python packages that tests compare with

$(VENV)/installed: $(PINNED)
	python3 -m venv --clear $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $(PINNED)
	touch $@

test: export HELIXFLOW_TEST_MODEL := $(MODEL)
test: export HELIXFLOW_TEST_PYTHON := $(PYTHON)
test: build model tools ## Install what the tests need and run them all
	cargo test --workspace --locked --no-fail-fast

ENGINE_TESTS := engine_agrees_with_a_plain_reference engine_keeps_the_quality_of_f32 engine_is_exact \
                engine_reads_every_tensor_type

verify-engine: export HELIXFLOW_FULL_COUNTS := 1
verify-engine: export HELIXFLOW_TEST_MODEL := $(MODEL)
verify-engine: export HELIXFLOW_TEST_PYTHON := $(PYTHON)
verify-engine: model tools ## Hold the engine to its references on whole texts, and to itself over every split of layers
	cargo test --workspace --locked --no-fail-fast $(ENGINE_TESTS:%=--test %) -- --nocapture

# A run of the simulation: any seed, a scenario of simulation/world.rs, and a bug of simulation/planted/mod.rs or none.
SEED      ?= 1
SCENARIO  ?= Faults
BUG       ?= none
SIMULATED := $(CARGO_TARGET_DIR)/simulated

simulate: export HELIXFLOW_SIMULATE := $(SCENARIO) $(BUG) $(SEED)
simulate: export HELIXFLOW_SIMULATE_EVENTS := $(SIMULATED)
simulate: ## Run one seed of the simulated coordinators and write down what happens: make simulate SEED=7
	mkdir -p $(SIMULATED)
	cargo test --quiet --locked --package helixflow-coordinator --lib simulation_of_its_own_process -- --nocapture
	@echo "Every event, in order: $(SIMULATED)/$(SEED)-0"

# With the assertions of every library, and optimised a little.
verify-simulation: export HELIXFLOW_SEEDS := 5000
verify-simulation: ## Simulate groups of coordinators under faults from 5,000 seeds; HELIXFLOW_FIRST_SEED for others
	cargo test --profile simulation --locked --package helixflow-coordinator --lib raft::simulation -- --nocapture --test-threads=1

# The optimised binary, under tests that need no optimisation themselves.
verify-saturation verify-idle verify-kills verify-stress verify-restarts verify-reaction: export HELIXFLOW_TEST_BINARY := $(RELEASE)
verify-saturation verify-idle: export HELIXFLOW_WINDOW_SECONDS := 60
verify-saturation verify-idle verify-reaction: export HELIXFLOW_TEST_MODEL := $(MODEL)

verify-saturation: release model ## Saturate gateways and engines for a minute: no election, no node judged lost
	cargo test --workspace --locked --test a_saturated_cluster_holds_no_election -- --nocapture
	cargo test --locked --package helixflow-coordinator --test processes busy -- --ignored --nocapture

verify-stress: export HELIXFLOW_WINDOW_SECONDS := 3600
verify-stress: release ## Keep every core busy for an hour beside a Raft group: no election
	cargo test --locked --package helixflow-coordinator --test processes busy -- --ignored --nocapture

verify-restarts: release ## Restart coordinators a hundred times over a growing log: memory and disk stay flat
	cargo test --locked --package helixflow-coordinator --test processes restart:: -- --include-ignored --nocapture

VERIFY := $(CARGO_TARGET_DIR)/verify

# Run again, it goes on where it was; its record is removed when all is done, so that the next run begins anew.
verify-kills: export HELIXFLOW_KILLS := 1000
verify-kills: export HELIXFLOW_KILLS_RECORD := $(VERIFY)/kills.json
verify-kills: release ## Kill the leader 1,000 times under a write load, in parts that go on where they were broken off
	mkdir -p $(VERIFY)
	cargo test --locked --package helixflow-coordinator --test processes killed -- --nocapture
	mv $(HELIXFLOW_KILLS_RECORD) $(VERIFY)/kills-done.json

# Eight nodes share the cores with the coordinator: what is told includes that.
verify-reaction: export HELIXFLOW_REACTION_NODES := 8
verify-reaction: release model ## Heat one board after another: how long requests go on to go there
	cargo test --locked --package helixflow-tests --test a_hot_board_sheds -- --nocapture

verify-idle: release model ## Leave a cluster alone for a minute: no process uses 1 % of a core
	cargo test --workspace --locked --test an_idle_cluster_uses_no_cpu -- --nocapture

CHAOS := $(CARGO_TARGET_DIR)/chaos

chaos: release model ## Kill each process of a local cluster in turn while requests run; ARGS="--rounds 3" for more
	rm -rf $(CHAOS)
	$(RELEASE) chaos kill-each --start --data-dir $(CHAOS) --model $(MODEL) $(ARGS)

verify-chaos: ARGS := --rounds 10 --clients 6
verify-chaos: chaos ## The same for ten rounds, sixty kills

HEAT := $(CARGO_TARGET_DIR)/heat

heat: release ## Compare policies on hot days of a simulated fleet, within an hour; ARGS=--quick for a minute
	mkdir -p $(BENCH)
	$(RELEASE) chaos heat --output $(HEAT) --rows $(BENCH) $(ARGS)

bench-simulator: model ## Measure how far the heat study's engine model is from the real engine under the same load
	mkdir -p $(BENCH)
	cargo run --release --locked --package helixflow-chaos --example simulator_error -- $(MODEL) \
	    --output $(BENCH)/simulator.json $(ARGS)

bench-engine: model tools ## Measure the engine beside llama.cpp; the table also goes to target/bench/engine.json
	cargo build --release --locked --package helixflow-engine --examples
	$(PYTHON) tests/scripts/bench_engine.py $(MODEL) --programs $(CARGO_TARGET_DIR)/release/examples \
	    --work $(BENCH)/work --output $(BENCH)/engine.json $(ARGS)

ETCD_PACKAGE := etcd-server
ETCD_VERSION := 3.4.23-4+b4
ETCD_SHA256  := 3a9445d4560ad6de1c375756b2a17d97713df44cbd20a658c871fe108af7ef5d
ETCD_ROOT    := $(TOOLS)/etcd-$(ETCD_VERSION)
ETCD         := $(ETCD_ROOT)/usr/bin/etcd

bench-raft: release ## Measure writes on three coordinators beside etcd; the table also goes to target/bench/raft.json
	@$(MAKE) --no-print-directory $(ETCD) || \
	echo "NOT MEASURED: etcd beside us, because Debian's package $(ETCD_PACKAGE) $(ETCD_VERSION) for amd64 cannot be fetched"
	mkdir -p $(BENCH)/work
	HELIXFLOW_BARE_WRITERS=1,16,64,256 HELIXFLOW_BARE_MILLISECONDS=4000 HELIXFLOW_BARE_FOLDER=$(BENCH)/work \
	    HELIXFLOW_BARE_OUTPUT=$(BENCH)/raft-bare.json \
	    cargo test --release --locked --package helixflow-coordinator --lib bare_openraft -- --ignored
	cargo bench --locked --package helixflow-tests --bench raft -- --helixflow $(RELEASE) --etcd $(ETCD) \
	    --bare $(BENCH)/raft-bare.json --work $(BENCH)/work --output $(BENCH)/raft.json $(ARGS)

bench-telemetry: release ## Measure ten thousand nodes that report to one coordinator; also to target/bench/telemetry.json
	mkdir -p $(BENCH)/work
	cargo bench --locked --package helixflow-tests --bench telemetry -- --helixflow $(RELEASE) \
	    --work $(BENCH)/work --output $(BENCH)/telemetry.json $(ARGS)

# Unpacked under target/, not installed: no rights are needed, and no service is started.
$(ETCD):
	rm -rf $(ETCD_ROOT) && mkdir -p $(ETCD_ROOT)
	cd $(ETCD_ROOT) && apt-get download $(ETCD_PACKAGE)=$(ETCD_VERSION)
	cd $(ETCD_ROOT) && echo "$(ETCD_SHA256)  $$(ls *.deb)" | sha256sum --check --strict && dpkg-deb -x *.deb .

fmt: ## Format every source file
	cargo fmt --all

lint: ## Run clippy with warnings denied
	cargo clippy --workspace --all-targets --locked -- --deny warnings

docs: ## Build the documentation with warnings denied
	RUSTDOCFLAGS="--cfg tokio_unstable --deny warnings" cargo doc --workspace --no-deps --locked

audit: $(DENY) ## Check the dependencies: bans, licences, sources, and advisories where the network permits
	cargo fetch --locked
	$(DENY) --offline check --hide-inclusion-graph bans licenses sources
	@if $(DENY) fetch db; then $(DENY) --offline check advisories; \
	else echo "NOT CHECKED: security advisories, because their database cannot be fetched from here"; fi

audit-tool: $(DENY)

# Unoptimised, because it builds once and runs for two seconds.
$(DENY):
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$(TOOLS)/cargo-deny-build \
	    cargo install cargo-deny --version $(DENY_VERSION) --locked --debug --root $(DENY_ROOT)
	rm -rf $(TOOLS)/cargo-deny-build

clean: ## Remove all that was built, fetched or installed under target/
	rm -rf $(CARGO_TARGET_DIR)
