# SPDX-License-Identifier: Apache-2.0
# PYTHON selects the interpreter of .venv (3.10 or newer), NODES the number of demo nodes. For the depot and a bundle
# (docs/airgap.md): DEPOT and OUT are their folders, RELEASES and ARCHITECTURES filter the list, CONTROL is the control node's
# architectures.
NODES ?= 2
DEPOT ?= /srv/ascend-depot
INVENTORY ?= inventory/prod
SBOM ?= sbom
OUT ?= bundle
PART_MB ?= 4000
CONTROL ?= $(shell uname -m)
export PYTHON ?= python3

.PHONY: venv plan variables demo demo-down test test-fast test-all test-aarch64 fuzz releases lint bench system depot-list depot-check bundle execution-environment sbom audit sign verify docs

venv: .venv/installed  ## ansible-core and what the playbooks need on a control node, in .venv

plan: .venv/installed  ## what each node of the inventory needs, as a table; changes nothing: INVENTORY= LIMIT=
	@ASCEND_FLEET_VIEW=plan .venv/bin/ansible-playbook playbooks/plan.yml -i $(INVENTORY) $(if $(LIMIT),--limit '$(LIMIT)')

demo: .venv/installed system  ## two simulated nodes, from bare to torch.npu.is_available()
	.venv/bin/python sim/demo.py --nodes $(NODES)

demo-down: .venv/installed  ## remove what demo created, except packages and the cache
	.venv/bin/python sim/demo.py down

test-fast: .venv/installed  ## unit and contract tests without the slow ones, for use while writing; three minutes
	.venv/bin/python -m pytest -n 2 --no-loadscope-reorder -m "not slow and not lint" tests/unit tests/contract

test: .venv/installed system  ## one test of each kind (lint, unit, contract, molecule, end to end), three at a time: one often waits for its node
	.venv/bin/python -m pytest -n 3 --no-loadscope-reorder

test-all: .venv/installed system  ## every fault, every ansible-core, long fuzzing; more than an hour
	.venv/bin/python -m pytest -n 2 --no-loadscope-reorder --whole
	.venv/bin/python tests/fuzz/parsers.py

test-aarch64: .venv/installed system  ## an emulated aarch64 node with the real aarch64 wheels, end to end; not part of test
	scripts/emulate-aarch64
	.venv/bin/python -m pytest -m aarch64 tests/aarch64

fuzz: .venv/installed  ## feed a million damaged tool outputs to every parser; some minutes
	.venv/bin/python tests/fuzz/parsers.py

releases: .venv/installed  ## show what each release contains, and whether its parts are compatible
	.venv/bin/python scripts/releases.py

variables: .venv/installed  ## write docs/variables.md and docs/zh/variables.md from the argument specs and scripts/variables.zh.yml
	.venv/bin/python scripts/variables.py

lint: .venv/installed  ## ansible-lint, yamllint, ruff, mypy
	.venv/bin/python -m pytest -m lint tests/contract

depot-list: .venv/installed  ## list every file that the depot needs, with address, size and sha256: RELEASES= ARCHITECTURES= SWARM=1 JSON=1
	@.venv/bin/python scripts/depot_list.py $(if $(RELEASES),--release $(RELEASES)) \
	  $(if $(ARCHITECTURES),--architecture $(ARCHITECTURES)) $(if $(SWARM),--swarm) $(if $(JSON),--json)

depot-check: .venv/installed  ## read every file of the depot, list damaged ones and fetch them again
	.venv/bin/python scripts/depot_check.py --depot $(DEPOT) --inventory $(INVENTORY)

bundle: .venv/installed  ## pack the depot, the project and a control node's Python and Ansible into parts for disks: docs/airgap.md
	.venv/bin/python scripts/bundle.py --depot $(DEPOT) --out $(OUT) --part-mb $(PART_MB) --control $(CONTROL) \
	  $(if $(CONTROL_PYTHON),--control-python $(CONTROL_PYTHON)) $(if $(ANSIBLE_CORE),--ansible-core '$(ANSIBLE_CORE)') \
	  $(if $(INCOMING),--incoming $(INCOMING))

sbom: .venv/installed  ## write CycloneDX 1.6, one file per release and architecture, to SBOM=; with your own DEPOT= including licences
	.venv/bin/python scripts/sbom.py --out $(SBOM) $(if $(filter-out file,$(origin DEPOT)),--depot $(DEPOT))

audit: .venv/installed  ## check every lock for known vulnerabilities; make also exits with 2 if some could not be checked
	.venv/bin/python scripts/audit.py

sign: .venv/installed  ## sign the committed files with your GPG key: .ansible-sign/
	scripts/signing sign

verify: .venv/installed  ## verify this checkout against its signature: no file changed, added or removed
	scripts/signing verify

execution-environment: .venv/installed  ## build an image for AWX and ansible-runner: docs/scale.md
	.venv/bin/ansible-galaxy collection build --force
	.venv/bin/ansible-builder build --tag ascend-fleet-ee

docs: .venv/installed  ## the documents as a site, into build/site: opens without a server and without a network
	.venv/bin/python scripts/site.py

bench: .venv/installed system  ## measure a converged and a changed fleet, a node's facts, a transfer and an installation; two hours
	.venv/bin/python tests/bench/facts.py
	.venv/bin/python tests/bench/fleet_cost.py
	.venv/bin/python tests/bench/transport.py
	.venv/bin/python tests/bench/filling.py
	.venv/bin/python tests/bench/leaving.py --way tiers --rate 100mbit --at-once 16
	.venv/bin/python tests/bench/leaving.py --way swarm --rate 100mbit
	.venv/bin/python tests/bench/environment.py
	.venv/bin/python tests/bench/batch.py
	.venv/bin/python tests/bench/changed.py

.venv/installed: pyproject.toml scripts/virtualenv
	scripts/virtualenv

system:
	scripts/system-packages
