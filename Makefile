# Every target is an npm script or a command of the lab; see README.md.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# vm: a machine of its own, as on Proxmox. light: a container that shares this machine's kernel.
GUEST ?= vm
export GUEST

npm := npm --no-update-notifier --no-fund --no-audit --loglevel=error
modules := node_modules/.package-lock.json

.PHONY: help lab lab-shell lab-down lab-start test test-lab bench install

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | while IFS=$$'\t' read -r n t; do printf '  make %-10s %s\n' "$$n" "$$t"; done

install: $(modules) ## install the npm packages

$(modules): package-lock.json package.json
	@command -v npm >/dev/null || { echo "npm is needed: install Node.js with npm" >&2; exit 1; }
	@echo "installing npm packages" >&2
	@$(npm) ci
	@touch $@

lab: $(modules) ## start the lab, run pulumi up and a job on the new host (GUEST=vm|light)
	@$(npm) run -s lab -- up

lab-start: $(modules) ## start the lab's servers only
	@$(npm) run -s lab -- start

# As it was typed: not expanded by make, and with line feeds and quotes of any kind.
lab-shell: export LAB_COMMAND = $(value CMD)
lab-shell: $(modules) ## a shell in the lab (CMD='…': one command)
	@$(npm) run -s lab -- shell

lab-down: $(modules) ## destroy the stack, stop the lab, leave nothing
	@$(npm) run -s lab -- down

test: $(modules) ## format, lint, types, shell, unit and program tests, Go; no root, no lab
	@$(npm) test

test-lab: $(modules) ## the lab's tests; needs root
	@$(npm) run -s test:lab

bench: $(modules) ## what the lab and previews cost; needs root
	@$(npm) run -s bench
