# make demo    see twolane at work: stand-in plugin daemons, three strategies, twenty seconds
# make test    every test
# Both install what they need on Debian and Ubuntu; a Rust toolchain must be there (https://rustup.rs).

.PHONY: help demo run test lint fmt bench sim race docs deny deb clean-root setup
.DEFAULT_GOAL := help

CARGO ?= cargo

help:
	@sed -n 's/^# //p' Makefile
	@echo "make run     the gateway with conf/twolane.yaml"
	@echo "make lint    formats, clippy and documentation, warnings denied"
	@echo "make bench   benchmarks"
	@echo "make sim     the tables of the simulation; ARGS=ablation for one of them"
	@echo "make race    the gateway beside HAProxy on the same arrivals, about 25 minutes"
	@echo "make docs    docs/configuration.md and conf/schema.json, from conf/reference.yaml"
	@echo "make deb     a Debian package, by cargo-deb"
	@echo "make clean-root  the package on a Debian 12 with nothing but its base; as root"

demo: setup
	$(CARGO) run -- demo $(ARGS)

run: setup
	$(CARGO) run --release -- run $(ARGS)

# The dashboard is tested in a real browser.
test: setup
	@sh deploy/setup.sh promtool amtool chromium chromedriver helm linters
	$(CARGO) test $(ARGS)

lint: setup
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet

fmt:
	$(CARGO) fmt

# Where the whole program is measured it is built as it is shipped, which takes longer; its parts are not.
WHOLE = through stream memory start scale
PARTS = access choose classify fleet page route screen siege sim
AS = $(if $(filter $(WHOLE),$(ARGS)),--profile dist)

# Lanes of nginx and HAProxy are skipped, loudly, when they are not there and cannot be installed.
bench: setup
	@PATH="$$PATH:/usr/sbin" sh deploy/setup.sh nginx haproxy || true
ifdef ARGS
	$(CARGO) bench $(AS) $(ARGS)
else
	$(CARGO) bench --profile dist $(WHOLE:%=--bench %)
	$(CARGO) bench $(PARTS:%=--bench %)
endif
	@$(CARGO) bench $(AS) --quiet --bench owed

# The profile of tests: it needs no build of its own, and is fast enough.
sim: setup
	$(CARGO) bench --profile dev --bench sim -- $(ARGS)

# Lanes of HAProxy are skipped when it is not there and cannot be installed.
race: setup
	@PATH="$$PATH:/usr/sbin" sh deploy/setup.sh haproxy || true
	PATH="$$PATH:/usr/sbin" $(CARGO) bench --bench race -- start $(ARGS)

docs: setup
	TWOLANE_WRITE_DOCS=1 $(CARGO) test --test conf the_schema_and_the_page
	TWOLANE_WRITE_DOCS=1 $(CARGO) test --test deploy what_the_chart_copies

# What is shipped is built by PROFILE; `PROFILE=release` is built sooner.
PROFILE ?= dist
BUILT = $(or $(CARGO_TARGET_DIR),target)/$(PROFILE)/twolane

# The manual and the completions are the program's own words. The configuration is away from its
# schema there, and must name it by its path.
deb: setup
	@sh deploy/setup.sh dpkg-shlibdeps
	@$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deb
	$(CARGO) build --locked --bin twolane --profile $(PROFILE)
	mkdir -p target/deb
	sed 's|\$$schema=schema.json|$$schema=/usr/share/doc/twolane/schema.json|' conf/twolane.yaml >target/deb/twolane.yaml
	$(BUILT) man >target/deb/twolane.1
	for shell in bash zsh fish; do $(BUILT) completions $$shell >target/deb/twolane.$$shell || exit 1; done
	$(CARGO) deb --no-build --profile $(PROFILE) --output target/deb/twolane.deb

clean-root: deb
	@sh deploy/setup.sh debootstrap curl
	sh deploy/verify-root.sh $(BUILT)
	sh deploy/verify-root.sh target/deb/twolane.deb

deny:
	$(CARGO) deny check

# cmake and a C compiler build Pingora's compression libraries; redis-server is for tests.
setup:
	@sh deploy/setup.sh
