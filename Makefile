# SPDX-License-Identifier: Apache-2.0
# PYTHON chooses the interpreter of .venv (3.10 or newer), NODES how many nodes the demo has. Of the depot and of a bundle
# (docs/airgap.md): where they lie, RELEASES and ARCHITECTURES of the list, CONTROL the control node's architectures.
NODES ?= 2
DEPOT ?= /srv/ascend-depot
INVENTORY ?= inventory/prod
SBOM ?= sbom
OUT ?= bundle
PART_MB ?= 4000
CONTROL ?= $(shell uname -m)
export PYTHON ?= python3

.PHONY: plan demo demo-down test test-fast test-all test-aarch64 fuzz releases lint bench system depot-list depot-check bundle execution-environment sbom audit sign verify

plan: .venv/installed  ## what each node of the inventory needs, as a table; changes nothing: INVENTORY= LIMIT=
	@ASCEND_FLEET_VIEW=plan .venv/bin/ansible-playbook playbooks/plan.yml -i $(INVENTORY) $(if $(LIMIT),--limit '$(LIMIT)')

demo: .venv/installed system  ## two simulated nodes, from bare to torch.npu.is_available()
	.venv/bin/python sim/demo.py --nodes $(NODES)

demo-down: .venv/installed  ## remove what demo made, but for packages and the cache
	.venv/bin/python sim/demo.py down

test-fast: .venv/installed  ## what one runs while writing: unit and contract, but for what takes long; three minutes
	.venv/bin/python -m pytest -n 2 --no-loadscope-reorder -m "not slow and not lint" tests/unit tests/contract

test: .venv/installed system  ## one of each kind: lint, unit, contract, molecule, end to end; two at a time
	.venv/bin/python -m pytest -n 2 --no-loadscope-reorder

test-all: .venv/installed system  ## every fault, every ansible-core, long fuzzing; more than an hour
	.venv/bin/python -m pytest -n 2 --no-loadscope-reorder --whole
	.venv/bin/python tests/fuzz/parsers.py

test-aarch64: .venv/installed system  ## an emulated aarch64 node with the real aarch64 wheels, end to end; not part of test
	scripts/emulate-aarch64
	.venv/bin/python -m pytest -m aarch64 tests/aarch64

fuzz: .venv/installed  ## a million damaged tool outputs, for every parser; some minutes
	.venv/bin/python tests/fuzz/parsers.py

releases: .venv/installed  ## what each release holds, and whether its parts go together
	.venv/bin/python scripts/releases.py

lint: .venv/installed  ## ansible-lint, yamllint, ruff, mypy
	.venv/bin/python -m pytest -m lint tests/contract

depot-list: .venv/installed  ## every file that the depot needs, with address, size and sha256: RELEASES= ARCHITECTURES= SWARM=1 JSON=1
	@.venv/bin/python scripts/depot_list.py $(if $(RELEASES),--release $(RELEASES)) \
	  $(if $(ARCHITECTURES),--architecture $(ARCHITECTURES)) $(if $(SWARM),--swarm) $(if $(JSON),--json)

depot-check: .venv/installed  ## read every file of the depot, name what is damaged, fetch it again
	.venv/bin/python scripts/depot_check.py --depot $(DEPOT) --inventory $(INVENTORY)

bundle: .venv/installed  ## depot, project and a control node's Python and Ansible, in parts for disks: docs/airgap.md
	.venv/bin/python scripts/bundle.py --depot $(DEPOT) --out $(OUT) --part-mb $(PART_MB) --control $(CONTROL) \
	  $(if $(CONTROL_PYTHON),--control-python $(CONTROL_PYTHON)) $(if $(ANSIBLE_CORE),--ansible-core '$(ANSIBLE_CORE)') \
	  $(if $(INCOMING),--incoming $(INCOMING))

sbom: .venv/installed  ## CycloneDX 1.6, a file a release and architecture, in SBOM=; with a DEPOT= of yours also licences
	.venv/bin/python scripts/sbom.py --out $(SBOM) $(if $(filter-out file,$(origin DEPOT)),--depot $(DEPOT))

audit: .venv/installed  ## every lock against known vulnerabilities; exit code 2 (of make) also where some could not be checked
	.venv/bin/python scripts/audit.py

sign: .venv/installed  ## sign what is committed, with your GPG key: .ansible-sign/
	scripts/signing sign

verify: .venv/installed  ## whether this checkout is what was signed: a file changed, added or removed
	scripts/signing verify

execution-environment: .venv/installed  ## an image for AWX and ansible-runner: docs/scale.md
	.venv/bin/ansible-galaxy collection build --force
	.venv/bin/ansible-builder build --tag ascend-fleet-ee

bench: .venv/installed system  ## what a fleet in step and a changed one, a node's facts, a transfer and an installation cost; two hours
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
