# Everything a person or CI runs. The work is done by TypeScript (deploy/, test/): targets only name it.
.DEFAULT_GOAL := help
SHELL := bash
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/.tools/node/bin:$(CURDIR)/node_modules/.bin:$(PATH):/usr/local/go/bin

tests := static unit replay conformance live datapath integration e2e reclaim load

##@ Start here
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

demo: setup parts ## the whole stack and the story, line by line; EXIT=1 ends it afterwards
	@EXIT=$(EXIT) node deploy/dev/demo.ts

test: setup ## every tier; builds what it needs while the quick ones run
	@node test/run.ts

##@ While you work
check: setup ## lint, types, format, imports, generated types, unit tests
	@node test/run.ts static unit

fix: setup ## repairs what a tool can
	@oxlint --type-aware --fix; biome check --write

generate: setup ## types from the CRDs
	@node kube/generate-types.ts

golden: setup ## rewrites golden files; review reads the diff
	@GOLDEN=1 node test/run.ts unit live integration e2e

up: setup parts ## a dev stack that stays
	@node deploy/dev/up.ts

down: setup ## ends the dev stack and leaves nothing
	@node deploy/dev/down.ts

##@ One tier
test-unit: setup ## our code alone
	@node test/run.ts unit

test-properties: setup ## property tests, fresh seeds, 5,000 runs each (any pod, any object: 10,000): minutes
	@PROPERTY_SEED=fresh PROPERTY_RUNS=5000 NODE_OPTIONS=--experimental-vm-modules jest --selectProjects unit --testTimeout=600000 -- $$(grep -rl "fc.assert" --include=*.test.ts --exclude=*.live.test.ts --exclude-dir=node_modules .)

test-replay: setup ## recorded workflow histories
	@node test/run.ts replay

test-conformance: setup ## the CNI executable against the CNI specification
	@node test/run.ts conformance

test-live: setup ## the Linux kernel, in fresh network namespaces
	@node test/run.ts live

test-datapath: setup ## bonds, VLANs, VFs and RDMA with traffic, in a guest kernel
	@node test/run.ts datapath

test-integration: setup ## a Temporal server and a kube-apiserver
	@node test/run.ts integration

test-e2e: setup ## the dev stack's cluster
	@node test/run.ts e2e

test-reclaim: setup ## how soon addresses come back whose DEL never came
	@node test/run.ts reclaim

test-load: setup ## 2,000 pods on two nodes, kills, and a pool too small for all; LOAD_SEED=1 plays another schedule
	@node test/run.ts load

test-long: setup parts ## the same five times as long, a kubelet that stands still for 60 s instead of 15, pods made again 20 times instead of 2, a worker killed after every effect
	@ORBWEAVER_LONG=1 node test/run.ts load
	@ORBWEAVER_LONG=1 NODE_OPTIONS=--experimental-vm-modules jest --selectProjects e2e -- reclaim-kubelet e2e/pods
	@KILLS=all NODE_OPTIONS=--experimental-vm-modules jest --selectProjects live -- killed-worker
	@KILLS=all node test/datapath/run-in-guest.ts --timeout 7200 --env KILLS -- test/datapath/run-tests.sh test/datapath/killed-worker.datapath.ts

##@ In numbers
bench: setup parts ## ADD and DEL measured, about an hour on a quiet machine; QUICK=1, ROUNDS=5, ONLY=one-node
	@node test/bench/bench.ts $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only "$(ONLY)")

##@ The toolchain
setup: ## Debian packages, the pinned Node, npm packages; only what is missing
	@deploy/toolchain/bootstrap.sh

parts: setup ## etcd, Kubernetes, containerd, Temporal, the CNI executable and the pod images; only what is missing
	@node deploy/toolchain/build-parts.ts

.PHONY: help demo test check fix generate golden up down bench setup parts test-long $(tests:%=test-%)
